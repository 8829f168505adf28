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
        arguments=(-m "not vm and not codex and not slow and not gui" "${arguments[@]}")
    else
        set_up quiet dev machines
    fi
    cd -- "$ROOT" || return
    FAILED=()
    verdict "ruff check" "$VENV/bin/ruff" check --quiet .
    verdict "ruff format" "$VENV/bin/ruff" format --check --quiet .
    verdict "mypy --strict" "$VENV/bin/mypy" --strict
    verdict "import contracts" "$VENV/bin/lint-imports"
    verdict "shell scripts" check_shell
    "$VENV/bin/python" -m pytest "${arguments[@]}" </dev/null || FAILED+=(pytest)
    ((${#FAILED[@]})) || return 0
    local names
    printf -v names '%s, ' "${FAILED[@]}"
    say "failed: ${names%, }"
    return 1
}

# One line when it holds, the whole output when it does not.
verdict() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1 </dev/null); then
        say "$name … ok"
    else
        say "$name … failed"
        printf '%s\n' "$output" | sed 's/^/    /' >&2
        FAILED+=("$name")
    fi
}

check_shell() {
    local file
    for file in skerry .ci/run packaging/*.sh; do bash -n "$file" || return; done
    if command -v shellcheck >/dev/null; then shellcheck -x skerry .ci/run packaging/*.sh; fi
}
