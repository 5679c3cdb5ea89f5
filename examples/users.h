/* Names of users in a database, for async_look_up.c: SQLite, or MariaDB and MySQL where their client library was there
 * at compile time. Nothing of flinc in here: this is how client libraries are, they block. */
#ifndef EXAMPLES_USERS_H
#define EXAMPLES_USERS_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if __has_include(<mysql.h>)
#include <mysql.h>
#define USERS_HAVE_MYSQL 1
#else
#define USERS_HAVE_MYSQL 0
#endif

enum { USERS_NAME_MAX = 255 };

/* A connection; one thread at a time. */
typedef struct {
    sqlite3 *sqlite;
    sqlite3_stmt *find;
#if USERS_HAVE_MYSQL
    MYSQL *mysql;
    MYSQL_STMT *find_mysql;
#endif
    char error[1024]; /* of the call that failed */
} Users;

static inline bool users_failed(Users *u, const char *what, const char *why)
{
    snprintf(u->error, sizeof u->error, "%.300s: %.600s", what, why);
    return false;
}

/* ---- SQLite ---- */

static inline bool users_open_sqlite(Users *u, const char *file)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(file, &u->sqlite, flags, NULL) != SQLITE_OK)
        return users_failed(u, file, sqlite3_errmsg(u->sqlite));
    sqlite3_busy_timeout(u->sqlite, 5000);
    return true;
}

static inline bool users_find_sqlite(Users *u, const char *id, size_t length, char name[USERS_NAME_MAX + 1])
{
    static const char sql[] = "SELECT user_name FROM tbl_user_info WHERE user_id = ?";
    if (!u->find && sqlite3_prepare_v2(u->sqlite, sql, -1, &u->find, NULL) != SQLITE_OK)
        return users_failed(u, sql, sqlite3_errmsg(u->sqlite));
    sqlite3_bind_text(u->find, 1, id, (int)length, SQLITE_STATIC);
    int result = sqlite3_step(u->find);
    if (result == SQLITE_ROW)
        snprintf(name, USERS_NAME_MAX + 1, "%s", (const char *)sqlite3_column_text(u->find, 0));
    sqlite3_reset(u->find);
    return result == SQLITE_ROW || result == SQLITE_DONE || users_failed(u, sql, sqlite3_errmsg(u->sqlite));
}

/* ---- MariaDB, MySQL ---- */

#if USERS_HAVE_MYSQL
static inline void users_start_library(void)
{
    mysql_library_init(0, NULL, NULL); /* once, before threads that would do it at the same time */
}

/* url: mysql://user:password@host:port, or mysql://user:password@/path/of/socket */
static inline bool users_open_mysql(Users *u, const char *url)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, users_start_library);
    char text[256];
    snprintf(text, sizeof text, "%s", url + strlen("mysql://"));
    char *at = strrchr(text, '@'), *host = at ? at + 1 : text, *user = NULL, *password = NULL;
    if (at) {
        *at = 0;
        user = text;
        password = strchr(user, ':');
        if (password)
            *password++ = 0;
    }
    const char *socket = *host == '/' ? host : NULL;
    char *port = socket ? NULL : strchr(host, ':');
    if (port)
        *port++ = 0;
    unsigned seconds = 5;
    u->mysql = mysql_init(NULL);
    mysql_options(u->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    mysql_options(u->mysql, MYSQL_OPT_READ_TIMEOUT, &seconds); /* so that no thread waits for ever */
    if (!mysql_real_connect(u->mysql, socket ? NULL : host, user, password, NULL,
            port ? (unsigned)strtoul(port, NULL, 10) : 0, socket, 0))
        return users_failed(u, host, mysql_error(u->mysql));
    return true;
}

static inline bool users_prepare_mysql(Users *u)
{
    static const char sql[] = "SELECT user_name FROM db_flink.tbl_user_info WHERE user_id = ?";
    u->find_mysql = mysql_stmt_init(u->mysql);
    return mysql_stmt_prepare(u->find_mysql, sql, sizeof sql - 1) == 0 ||
           users_failed(u, sql, mysql_stmt_error(u->find_mysql));
}

static inline bool users_find_mysql(Users *u, const char *id, size_t length, char name[USERS_NAME_MAX + 1])
{
    if (!u->find_mysql && !users_prepare_mysql(u))
        return false;
    unsigned long id_length = length, name_length = 0;
    MYSQL_BIND in = { .buffer_type = MYSQL_TYPE_STRING, .buffer = (char *)id, .length = &id_length };
    MYSQL_BIND out = {
        .buffer_type = MYSQL_TYPE_STRING, .buffer = name, .buffer_length = USERS_NAME_MAX, .length = &name_length
    };
    in.buffer_length = length;
    int result = -1;
    if (!mysql_stmt_bind_param(u->find_mysql, &in) && !mysql_stmt_execute(u->find_mysql) &&
        !mysql_stmt_bind_result(u->find_mysql, &out))
        result = mysql_stmt_fetch(u->find_mysql);
    if (result == 0)
        name[name_length] = 0;
    bool good = result == 0 || result == MYSQL_NO_DATA || users_failed(u, "query", mysql_stmt_error(u->find_mysql));
    mysql_stmt_free_result(u->find_mysql);
    return good;
}
#endif

/* ---- either ---- */

static inline bool users_is_mysql(const char *database)
{
    return strncmp(database, "mysql://", 8) == 0;
}

/* database: a file of SQLite's, or a URL of MySQL's. False: u->error says why. Call users_close in any case. */
static inline bool users_open(Users *u, const char *database)
{
    memset(u, 0, sizeof *u);
    if (!users_is_mysql(database))
        return users_open_sqlite(u, database);
#if USERS_HAVE_MYSQL
    return users_open_mysql(u, database);
#else
    return users_failed(u, database, "compiled without MariaDB's client library (Debian: libmariadb-dev)");
#endif
}

static inline bool users_run(Users *u, const char *sql)
{
    if (u->sqlite)
        return sqlite3_exec(u->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK ||
               users_failed(u, sql, sqlite3_errmsg(u->sqlite));
#if USERS_HAVE_MYSQL
    return mysql_query(u->mysql, sql) == 0 || users_failed(u, sql, mysql_error(u->mysql));
#endif
    return false;
}

/* Makes the table with its ten users, unless it is there. */
static inline bool users_make_table(Users *u)
{
    static const char *const names[] = { "zhenshi", "zhangsan", "lisi", "wangwu", "zhaoliu", "tianqi", "qianliu",
        "sunqi", "zhouba", "wujiu" };
    const char *in = u->sqlite ? "" : "db_flink.";
    char sql[256];
    if (!u->sqlite && !users_run(u, "CREATE DATABASE IF NOT EXISTS db_flink"))
        return false;
    snprintf(sql, sizeof sql,
        "CREATE TABLE IF NOT EXISTS %stbl_user_info (user_id varchar(100) NOT NULL PRIMARY KEY, "
        "user_name varchar(255) NOT NULL)",
        in);
    bool good = users_run(u, sql);
    for (size_t i = 0; good && i < sizeof names / sizeof *names; i++) {
        snprintf(sql, sizeof sql, "REPLACE INTO %stbl_user_info (user_id, user_name) VALUES ('u_%zu', '%s')", in,
            1000 + i, names[i]);
        good = users_run(u, sql);
    }
    return good;
}

/* The user's name; "" when there is no such user. False: u->error says why. */
static inline bool users_find(Users *u, const char *id, size_t length, char name[USERS_NAME_MAX + 1])
{
    name[0] = 0;
    if (u->sqlite)
        return users_find_sqlite(u, id, length, name);
#if USERS_HAVE_MYSQL
    return users_find_mysql(u, id, length, name);
#endif
    return false;
}

static inline void users_close(Users *u)
{
    sqlite3_finalize(u->find);
    sqlite3_close(u->sqlite);
#if USERS_HAVE_MYSQL
    if (u->find_mysql)
        mysql_stmt_close(u->find_mysql);
    if (u->mysql)
        mysql_close(u->mysql);
#endif
    memset(u, 0, sizeof *u);
}

#endif
