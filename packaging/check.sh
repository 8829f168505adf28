# shellcheck shell=bash
# ./skerry test: everything that must hold. Sourced by ./skerry.

run_checks() {
    local fast="" arguments=()
    while (($#)); do
        case $1 in
            --fast) fast=1 ;;
            --screenshots)
                [[ -n ${2-} ]] || { say "--screenshots needs a folder"; return 2; }
                mkdir -p -- "$2"
                SKERRY_SCREENSHOTS=$(cd -- "$2" && pwd -P)
                export SKERRY_SCREENSHOTS
                shift
                ;;
            *) arguments+=("$1") ;;
        esac
        shift
    done
    if [[ $fast ]]; then
        set_up quiet dev basics
        arguments=(-m "not vm and not codex and not claude and not slow and not gui" "${arguments[@]}")
        # Half of their time these tests wait for a server: two processes fill it.
        if "$VENV/bin/python" -c 'import xdist' 2>/dev/null; then arguments=(-n 2 --dist loadfile "${arguments[@]}"); fi
    else
        set_up quiet dev tests
    fi
    cd -- "$ROOT" || return
    unset PYTHONDONTWRITEBYTECODE # compiling all again takes a third of the time
    local verdicts status=0
    verdicts=$(mktemp -d)
    # One core reads while the other runs.
    all_verdicts "$verdicts" &
    "$VENV/bin/python" -m pytest "${arguments[@]}" </dev/null || status=1
    wait
    cat -- "$verdicts"/*.said >&2
    if compgen -G "$verdicts/*.failed" >/dev/null; then status=1; fi
    rm -rf -- "$verdicts"
    return "$status"
}

all_verdicts() {
    verdict "$1/1" "ruff check" "$VENV/bin/ruff" check --quiet .
    verdict "$1/2" "ruff format" "$VENV/bin/ruff" format --check --quiet .
    verdict "$1/3" "import contracts" "$VENV/bin/lint-imports"
    verdict "$1/4" "shell scripts" bash "$ROOT/packaging/check_shell.sh"
    verdict "$1/5" "mypy --strict" "$VENV/bin/mypy" --strict
}

# One line when it holds, the whole output when it does not.
verdict() {
    local file=$1 name=$2 output
    shift 2
    if output=$(nice "$@" 2>&1 </dev/null); then
        printf '%s … ok\n' "$name" >"$file.said"
    else
        printf '%s … failed\n' "$name" >"$file.said"
        printf '%s\n' "$output" | sed 's/^/    /' >>"$file.said"
        touch "$file.failed"
    fi
}
