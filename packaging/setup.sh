# shellcheck shell=bash
# Set-up in five steps, each skipped when it is done. Sourced by ./skerry; speaks on stderr only, so that the output of
# a command stays clean. Safe to repeat, and when two run at once.

VENV=${SKERRY_VENV:-$ROOT/.venv}
SETUP=$ROOT/.skerry/setup
IMAGES=${SKERRY_IMAGES:-${SKERRY_HOME:+$SKERRY_HOME/data/images}}
IMAGES=${IMAGES:-${XDG_DATA_HOME:-$HOME/.local/share}/skerry/images}
NEEDED_GIB=6

say() { printf '%s\n' "$*" >&2; }

# set_up LOUDNESS EXTRAS EXTENT: quiet (silent when all is there) or loud; run or dev; basics, machines, or tests
# (machines, and what only their tests need).
set_up() {
    LOUD=$1 EXTRAS=$2
    local steps=(packages environment)
    [[ $3 != basics ]] && steps+=(image pack check)
    [[ $3 == tests && ${SKERRY_TEST_CLAUDE-1} != 0 ]] && steps+=(claude)
    if [[ $LOUD == quiet ]] && all_there "${steps[@]}"; then return; fi
    mkdir -p "$SETUP"
    exec 9>"$SETUP/lock"
    if ! flock --nonblock 9; then
        say "Another set-up is at work here; waiting for it …"
        flock 9
    fi
    local step
    for step in "${steps[@]}"; do run_step "$step"; done
    exec 9>&-
}

all_there() {
    local step
    for step in "$@"; do "has_$step" || return 1; done
}

title_of() {
    case $1 in
        packages) echo "[1/5] Debian packages" ;;
        environment) echo "[2/5] Python environment" ;;
        image) echo "[3/5] VM image base" ;;
        pack) echo "[4/5] tool pack codex" ;;
        check) echo "[5/5] check" ;;
        claude) echo "[tests] tool pack claude-code" ;;
    esac
}

run_step() {
    local title log started=$SECONDS
    title=$(title_of "$1") log=$SETUP/$1.log
    if "has_$1"; then
        say "$title … ok (already there)"
        return
    fi
    if declare -F "before_$1" >/dev/null; then "before_$1"; fi
    watched "$title" "$log" "do_$1"
    ((STATUS == 0)) || fail "$1" "$title" "$log"
    say "$title … ok ($((SECONDS - started)) s)"
    if declare -F "after_$1" >/dev/null; then "after_$1" "$log"; fi
}

# Run a function in the background, its output in a log, and show the log's last line meanwhile. Sets STATUS (and returns
# 0 always: behind "||" or "if", bash would ignore "set -e" within the function).
watched() {
    local title=$1 log=$2 action=$3 started=$SECONDS pause=30 pid
    [[ -t 2 ]] && pause=0.5
    [[ -t 2 ]] || say "$title … at work, log in $log"
    set -m # a process group of its own, so that all of it can be ended
    "$action" >"$log" 2>&1 9>&- </dev/null &
    pid=$!
    set +m
    trap 'kill -- "-$pid" 2>/dev/null; exit 130' INT TERM
    local told=$SECONDS
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.1
        if [[ -t 2 ]]; then
            printf '\r\033[K%s … %d s  %.60s' "$title" $((SECONDS - started)) "$(last_line "$log")" >&2
        elif ((SECONDS - told >= pause)); then
            told=$SECONDS
            printf '%s … %d s: %.80s\n' "$title" $((SECONDS - started)) "$(last_line "$log")" >&2
        fi
    done
    trap - INT TERM
    if [[ -t 2 ]]; then printf '\r\033[K' >&2; fi
    wait "$pid" && STATUS=0 || STATUS=$?
}

last_line() { tail -n 1 -- "$1" | tr '\r' '\n' | tail -n 1 | tr -cd '[:print:]'; }

fail() {
    local step=$1 title=$2 log=$3
    say "$title … failed"
    tail -n 12 -- "$log" | sed 's/^/    /' >&2
    say "  remedy: $(remedy_of "$step")"
    say "  log:    $log"
    exit 1
}

remedy_of() {
    case $1 in
        packages) echo "run this, then ./skerry again: $(install_command)" ;;
        environment) echo "look at the last lines above; if the network is fine, remove $VENV and run ./skerry again" ;;
        image) echo "look at the last lines above; needed are network access to a Debian mirror and $NEEDED_GIB GiB in $IMAGES" ;;
        pack | claude) echo "look at the last lines above; needed is access to the npm registry (npm ping), and space in $IMAGES" ;;
        check) echo "the line above says what is missing; ./skerry setup repeats the set-up" ;;
    esac
}

# -- [1/5] Debian packages ---------------------------------------------------------------------------------------------

has_packages() {
    command -v dpkg-query >/dev/null || return 0 # not Debian: the check says what is missing
    has_account && [[ -z $(missing_packages) ]]
}

# libvirt insists on its account when root runs it, even if it is told to use another.
has_account() { ((EUID != 0)) || getent passwd libvirt-qemu >/dev/null; }

wanted_packages() {
    local line
    while read -r line; do
        line=${line%%#*} line=${line%% *}
        case $line in
            "") ;;
            *\?*) command -v "${line#*\?}" >/dev/null || echo "${line%\?*}" ;;
            *) echo "$line" ;;
        esac
    done <"$ROOT/packaging/debian-packages.txt"
}

missing_packages() {
    local wanted
    mapfile -t wanted < <(wanted_packages)
    # "provided by another package" counts as installed, too: a package may have been renamed.
    comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) \
        <(dpkg-query -W -f '${db:Status-Abbrev}|${Package}\n' 2>/dev/null | sed -n 's/^.i.*|//p' | sort -u)
}

install_command() {
    local sudo="sudo "
    ((EUID == 0)) && sudo=""
    echo "${sudo}apt-get update && ${sudo}apt-get install --no-install-recommends $(missing_packages | tr '\n' ' ')"
}

before_packages() {
    AS_ROOT=()
    ((EUID == 0)) && return
    say "[1/5] Debian packages … missing: $(missing_packages | tr '\n' ' ')"
    command -v sudo >/dev/null || refuse_packages
    AS_ROOT=(sudo)
    if [[ -t 0 ]]; then
        local answer
        read -r -p "      Install them with sudo? [Y/n] " answer
        [[ ${answer:-y} == [Yy]* ]] || refuse_packages
        sudo --validate || refuse_packages
    else
        sudo --non-interactive true 2>/dev/null || refuse_packages
    fi
}

refuse_packages() {
    say "[1/5] Debian packages … failed: installing them needs root"
    say "  remedy: $(remedy_of packages)"
    exit 1
}

do_packages() {
    local missing root=("${AS_ROOT[@]}" env DEBIAN_FRONTEND=noninteractive)
    mapfile -t missing < <(missing_packages)
    if ((${#missing[@]})); then
        "${root[@]}" apt-get update
        "${root[@]}" apt-get install --yes --no-install-recommends "${missing[@]}"
    fi
    has_account || useradd --system --user-group --no-create-home --shell /usr/sbin/nologin libvirt-qemu
}

# -- [2/5] Python environment ------------------------------------------------------------------------------------------

environment_key() { sha256sum <"$ROOT/pyproject.toml" | cut -c1-16; }

has_environment() {
    [[ -x $VENV/bin/python && -r $VENV/skerry.stamp ]] || return 1
    local key extras
    read -r key extras <"$VENV/skerry.stamp"
    [[ $key == "$(environment_key)" && ($extras == dev || $EXTRAS == run) ]]
}

do_environment() {
    if ! suitable "$VENV/bin/python"; then
        rm -rf -- "$VENV"
        "$(find_python)" -m venv "$VENV"
    fi
    local what=$ROOT
    [[ $EXTRAS == dev || $(cut -d' ' -f2 "$VENV/skerry.stamp" 2>/dev/null) == dev ]] && what="${ROOT}[dev]"
    "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --editable "$what"
    [[ $what == "$ROOT" ]] && EXTRAS=run || EXTRAS=dev
    echo "$(environment_key) $EXTRAS" >"$VENV/skerry.stamp"
}

# The newest Python that works, has pip's bundle and headers. A version manager's shim may exist and not run.
find_python() {
    local name path
    for name in python3.13 python3.12 python3.11 python3; do
        while read -r path; do
            if suitable "$path"; then
                echo "$path"
                return
            fi
        done < <(type -ap "$name")
    done
    echo "no Python 3.11, 3.12 or 3.13 with venv and headers was found on PATH" >&2
    return 1
}

suitable() {
    [[ -x $1 ]] && "$1" -c '
import ensurepip, os, sys, sysconfig, venv
headers = os.path.join(sysconfig.get_path("include"), "Python.h")
base = os.path.exists(headers) or sys.prefix != sys.base_prefix
sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13) and base))' >/dev/null 2>&1
}

# -- [3/5] VM image and [4/5] tool pack --------------------------------------------------------------------------------

# A stamp holds the key of what was built from, then the files that came out; they may have been pruned since.
has_built() {
    local stamp=$SETUP/$1.stamp key file
    [[ -r $stamp ]] || return 1
    {
        read -r key
        [[ $key == "$(build_key "$1")" ]] || return 1
        while read -r file; do [[ -e $file ]] || return 1; done
    } <"$stamp"
}

build_key() {
    {
        echo "$IMAGES"
        find "$ROOT/vm_images" "$ROOT/app/sandbox" -type f -not -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum
    } | sha256sum | cut -c1-16
}

enough_space() {
    local folder=$IMAGES free
    while [[ ! -d $folder ]]; do folder=$(dirname -- "$folder"); done
    free=$(df --output=avail -k -- "$folder" | tail -n 1)
    if ((free < NEEDED_GIB * 1024 * 1024)); then
        say "$(title_of "$1") … failed: $((free / 1024 / 1024)) GiB free in $folder, $NEEDED_GIB are needed"
        say "  remedy: free some space, or set SKERRY_IMAGES to a folder on a larger disk"
        exit 1
    fi
}

build() {
    local key
    key=$(build_key "$1")
    "$VENV/bin/python" -m app image build "${@:2}" --paths-to "$SETUP/$1.paths"
    { echo "$key"; cat "$SETUP/$1.paths"; } >"$SETUP/$1.stamp"
}

has_image() { has_built image; }
before_image() { enough_space image; }
do_image() { build image base; }
has_pack() { has_built pack; }
before_pack() { enough_space pack; }
do_pack() { build pack codex; }

# The tests run the real Claude Code, which comes under its publisher's terms. They are accepted here for the tests
# alone: whoever uses it with Skerry is asked himself.
has_claude() { has_built claude; }
before_claude() {
    enough_space claude
    say "[tests] the tests fetch Claude Code, under the terms in vm_images/packs/claude-code/licence.toml;" \
        "SKERRY_TEST_CLAUDE=0 ./skerry test leaves it and them out"
}
do_claude() {
    local home=$SETUP/accepted-for-tests
    SKERRY_HOME=$home SKERRY_IMAGES=$IMAGES build claude claude-code --accept-licence
    rm -rf -- "$home"
}

# -- [5/5] check -------------------------------------------------------------------------------------------------------

has_check() {
    [[ -r $SETUP/check.stamp && $(<"$SETUP/check.stamp") == "$(environment_key)" && ! $VENV/skerry.stamp -nt $SETUP/check.stamp ]]
}

do_check() {
    "$VENV/bin/python" -m app setup-check
    environment_key >"$SETUP/check.stamp"
}

after_check() { sed 's/^/      /' "$1" >&2; }
