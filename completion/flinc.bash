# shellcheck shell=bash
# Bash completion for flinc(1). Made by `flinc help completion bash`.
_flinc()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} actions words i
    COMPREPLY=()
    actions="run info build version help"
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$actions" -- "$word")
        return
    fi
    case ${COMP_WORDS[1]} in
    run) words="-c --class -p --parallelism -s --fromSavepoint -D -h --help" ;;
    info) words="-c --class -p --parallelism -s --fromSavepoint -D --json --text -h --help" ;;
    build) words="-o --output --shared -h --help" ;;
    version) words="-h --help" ;;
    help) words="-h --help" ;;
    *) return ;;
    esac
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        *.c | *.so) # what follows the program is its own: offer files
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return
            ;;
        esac
    done
    case $before in
    -D)
        compopt -o nospace
        mapfile -t COMPREPLY < <(compgen -S = -W "$(flinc help options --keys)" -- "$word")
        return
        ;;
    -o | --output)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    -c | --class | -p | --parallelism) return ;;
    esac
    case ${COMP_WORDS[1]}$word in
    *-*) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word") ;;
    help*) mapfile -t COMPREPLY < <(compgen -W "$actions options completion" -- "$word") ;;
    version*) ;;
    *)
        mapfile -t COMPREPLY < <(
            compgen -f -X '!*.c' -- "$word"
            compgen -f -X '!*.so' -- "$word"
            compgen -d -S / -- "$word"
        )
        ;;
    esac
}
complete -o filenames -F _flinc flinc
