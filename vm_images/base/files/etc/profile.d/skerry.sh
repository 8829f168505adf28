# /etc/profile sets PATH anew; login shells find the programs of tool packs too.
for bin in /opt/packs/*/bin; do
    [ -d "$bin" ] && PATH="$bin:$PATH"
done
unset bin
