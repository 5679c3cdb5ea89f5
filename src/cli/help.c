/* What flinc says about itself: help, the options' reference, completion scripts. All of it from the tables. */
#include "cli/actions.h"
#include "base/config.h"
#include "base/nearest.h"

#include <stdio.h>

static void print_flags(const fl__flag *flags, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char usage[100];
        if (!flags[i].text)
            continue;
        fl__flag_usage(&flags[i], usage, sizeof usage);
        printf("  %-25s %s\n", usage, flags[i].text);
    }
}

void fl__print_action_help(const fl__action *action)
{
    printf("usage: flinc %s%s%s%s\n\n%s\n", action->name, action->flag_count > 1 ? " [options]" : "",
        *action->arguments ? " " : "", action->arguments, action->summary);
    if (action->text)
        printf("%s\n", action->text);
    printf("\n");
    print_flags(action->flags, action->flag_count);
}

void fl__print_help(void)
{
    printf("usage: flinc <action> [options] [arguments]\n\n");
    for (size_t i = 0; i < fl__action_count; i++)
        printf("  %-10s %s\n", fl__actions[i].name, fl__actions[i].summary);
    printf("\nflinc <action> --help explains one of them, flinc help options lists the configuration options.\n");
}

int fl__action_version(const fl__action *action, int argc, char **argv)
{
    (void)action, (void)argc, (void)argv;
    printf("flinc %s\n", FLINC_VERSION);
    return 0;
}

/* ---- options ---- */

static void print_options(void)
{
    for (int i = 0; i < FL__OPTION_COUNT; i++) {
        const fl__option *o = &fl__options[i];
        char *range = fl__option_range(o);
        printf("%s%s%s  (%s)\n    %s%s\n", o->key, o->default_text ? " = " : "", o->default_text ? o->default_text : "",
            range, o->effect == FL__NOT_YET ? "[no effect yet] " : "", o->text);
        free(range);
    }
}

static int help_options(const char *form)
{
    if (!form) {
        print_options();
    } else if (strcmp(form, "--markdown") == 0) {
        char *page = fl__options_markdown();
        printf("%s", page);
        free(page);
    } else if (strcmp(form, "--keys") == 0) {
        for (int i = 0; i < FL__OPTION_COUNT; i++)
            printf("%s\n", fl__options[i].key);
    } else {
        fprintf(stderr, "flinc help options: '%s' is neither --markdown nor --keys\n", form);
        return 1;
    }
    return 0;
}

/* ---- completion ---- */

/* "run info …" */
static void print_actions(void)
{
    for (size_t i = 0; i < fl__action_count; i++)
        printf("%s%s", i ? " " : "", fl__actions[i].name);
}

static void print_bash_flags(const fl__action *action)
{
    printf("    %s) words=\"", action->name);
    for (size_t i = 0, n = 0; i < action->flag_count; i++) {
        const fl__flag *f = &action->flags[i];
        if (f->text && f->letters)
            printf("%s-%s", n++ ? " " : "", f->letters);
        if (f->text && f->name)
            printf("%s--%s", n++ ? " " : "", f->name);
    }
    printf("\" ;;\n");
}

static void print_bash(void)
{
    printf("# shellcheck shell=bash\n"
           "# Bash completion for flinc(1). Made by `flinc help completion bash`.\n"
           "_flinc()\n{\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} actions words i\n"
           "    COMPREPLY=()\n"
           "    actions=\"");
    print_actions();
    printf("\"\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
           "        mapfile -t COMPREPLY < <(compgen -W \"$actions\" -- \"$word\")\n"
           "        return\n"
           "    fi\n"
           "    case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < fl__action_count; i++)
        print_bash_flags(&fl__actions[i]);
    printf("    *) return ;;\n"
           "    esac\n"
           "    for ((i = 2; i < COMP_CWORD; i++)); do\n"
           "        case ${COMP_WORDS[i]} in\n"
           "        *.c | *.so) # what follows the program is its own: offer files\n"
           "            mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
           "            return\n"
           "            ;;\n"
           "        esac\n"
           "    done\n"
           "    case $before in\n"
           "    -D)\n"
           "        compopt -o nospace\n"
           "        mapfile -t COMPREPLY < <(compgen -S = -W \"$(flinc help options --keys)\" -- \"$word\")\n"
           "        return\n"
           "        ;;\n"
           "    -o | --output)\n"
           "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
           "        return\n"
           "        ;;\n"
           "    -c | --class | -p | --parallelism) return ;;\n"
           "    esac\n"
           "    case ${COMP_WORDS[1]}$word in\n"
           "    *-*) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\") ;;\n"
           "    help*) mapfile -t COMPREPLY < <(compgen -W \"$actions options completion\" -- \"$word\") ;;\n"
           "    version*) ;;\n"
           "    *)\n"
           "        mapfile -t COMPREPLY < <(\n"
           "            compgen -f -X '!*.c' -- \"$word\"\n"
           "            compgen -f -X '!*.so' -- \"$word\"\n"
           "            compgen -d -S / -- \"$word\"\n"
           "        )\n"
           "        ;;\n"
           "    esac\n"
           "}\n"
           "complete -o filenames -F _flinc flinc\n");
}

/* Text within single quotes and zsh's own brackets. */
static void print_zsh_text(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            printf("'\\''");
        else if (*text == '[' || *text == ']' || *text == ':')
            printf("\\%c", *text);
        else
            putchar(*text);
    }
}

static void print_zsh_flag(const fl__flag *f)
{
    char short_form[16] = "", long_form[64] = "";
    bool repeats = f->letters && strcmp(f->letters, "D") == 0;
    if (f->letters)
        snprintf(short_form, sizeof short_form, "-%s", f->letters);
    if (f->name)
        snprintf(long_form, sizeof long_form, "--%s", f->name);
    for (int i = 0; i < 2; i++) {
        const char *form = i == 0 ? short_form : long_form;
        if (!*form)
            continue;
        printf("            '%s%s[", repeats ? "*" : "", form);
        print_zsh_text(f->text);
        printf("]%s%s%s' \\\n", f->value ? ":" : "", f->value ? f->value : "",
            !f->value                       ? ""
            : repeats                       ? ":_flinc_keys"
            : strcmp(f->value, "file") == 0 ? ":_files"
                                            : ":");
    }
}

static void print_zsh(void)
{
    printf("#compdef flinc\n"
           "# Zsh completion for flinc(1). Made by `flinc help completion zsh`.\n"
           "_flinc_keys() { compadd -S = -- ${(f)\"$(flinc help options --keys)\"} }\n"
           "local -a actions\n"
           "actions=(\n");
    for (size_t i = 0; i < fl__action_count; i++) {
        printf("    '%s:", fl__actions[i].name);
        print_zsh_text(fl__actions[i].summary);
        printf("'\n");
    }
    printf(")\n"
           "if (( CURRENT == 2 )); then\n"
           "    _describe 'action' actions\n"
           "    return\n"
           "fi\n"
           "case $words[2] in\n"
           "    help) _describe 'action' actions ;;\n");
    for (size_t i = 0; i < fl__action_count; i++) {
        const fl__action *a = &fl__actions[i];
        if (!a->takes_program)
            continue;
        printf("    %s)\n        _arguments -S \\\n", a->name);
        for (size_t j = 0; j < a->flag_count; j++) {
            if (a->flags[j].text)
                print_zsh_flag(&a->flags[j]);
        }
        printf("            '2:program:_files -g \"*.(c|so)\"' '*:argument:_files'\n        ;;\n");
    }
    printf("esac\n");
}

static int help_completion(const char *shell)
{
    if (shell && strcmp(shell, "bash") == 0) {
        print_bash();
        return 0;
    }
    if (shell && strcmp(shell, "zsh") == 0) {
        print_zsh();
        return 0;
    }
    fprintf(stderr, "flinc help completion: name the shell, bash or zsh\n");
    return 1;
}

/* ---- help ---- */

int fl__action_help(const fl__action *action, int argc, char **argv)
{
    (void)action;
    const char *topic = argc > 0 ? argv[0] : NULL;
    if (!topic) {
        fl__print_help();
        return 0;
    }
    if (strcmp(topic, "options") == 0)
        return help_options(argc > 1 ? argv[1] : NULL);
    if (strcmp(topic, "completion") == 0)
        return help_completion(argc > 1 ? argv[1] : NULL);
    const fl__action *about = fl__action_find(topic[0] == '-' ? "help" : topic);
    if (about) {
        fl__print_action_help(about);
        return 0;
    }
    fl__nearest nearest;
    fl__nearest_init(&nearest, topic);
    for (size_t i = 0; i < fl__action_count; i++)
        fl__nearest_offer(&nearest, fl__actions[i].name);
    fl__nearest_offer(&nearest, "options");
    fl__nearest_offer(&nearest, "completion");
    char *hint = fl__nearest_text(&nearest);
    fprintf(stderr, "flinc help: there is no action '%s'%s\nflinc help lists them.\n", topic, hint);
    free(hint);
    return 1;
}
