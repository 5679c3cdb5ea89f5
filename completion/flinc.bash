# shellcheck shell=bash
# Bash completion for flinc(1).
_flinc()
{
    local word=${COMP_WORDS[COMP_CWORD]} commands="run build info version help" i
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
        return
    fi
    case ${COMP_WORDS[1]} in
    help)
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
        ;;
    run | build | info)
        for ((i = 2; i < COMP_CWORD; i++)); do
            case ${COMP_WORDS[i]} in
            *.c | *.so) # what follows the program is its own: offer files
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
                return
                ;;
            esac
        done
        case $word in
        -*) mapfile -t COMPREPLY < <(compgen -W "-c -p -D -o" -- "$word") ;;
        *) mapfile -t COMPREPLY < <(compgen -f -X '!*.@(c|so)' -- "$word"; compgen -d -S / -- "$word") ;;
        esac
        ;;
    esac
}
complete -o filenames -F _flinc flinc
