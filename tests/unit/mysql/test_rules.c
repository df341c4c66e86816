#include "config.h"

#include "mysql/rules.h"

#include "unit/mysql/made.h"

#include <sys/stat.h>
#include <unistd.h>

#define EXAMPLE "server/dist/hook.conf.example"

#ifdef HAVE_HOOK
static const bool has_hook = true;
#else
static const bool has_hook = false;
#endif

static struct rules *rules;
static char error[RULES_ERROR_MAX];

static void
close_all(void)
{
    rules_destroy(rules);
    rules = NULL;
    guard_free_all();
}

static bool
parse(const char *text)
{
    size_t len = strlen(text);
    error[0] = 0;
    return rules_parse("f", (struct bytes){ guard_copy(text, len), len }, &rules, error,
                       sizeof(error));
}

/* -- errors: what stands on line 2 ------------------------------------------------------------ */

#define SOURCE "source = { hosts = ( \"localhost\" ); user = \"u\"; };"
#define TABLES \
    "tables = ( { name = \"d.t\"; rules = ( { on = \"any\"; delete = \"k:{a}\"; } ); } );"

static const struct {
    const char *text;
    const char *error; /* what it must begin with */
} bad_sources[] = {
    { "", "f:1: hosts is missing in source: hosts = ( \"db1:3306\" );" },
    { "hosts = \"db1\";", "f:2: hosts must be a list" },
    { "hosts = ();", "f:2: 0 hosts; it must be 1 to 16" },
    { "hosts = ( 1 );", "f:2: hosts must be texts" },
    { "hosts = ( \"\" );", "f:2: '' in hosts; right are \"name\"" },
    { "hosts = ( \"db1:\" );", "f:2: 'db1:' in hosts; right are" },
    { "hosts = ( \"db1:0\" );", "f:2: 'db1:0' in hosts" },
    { "hosts = ( \"db1:65536\" );", "f:2: 'db1:65536' in hosts" },
    { "hosts = ( \"db1:33x\" );", "f:2: 'db1:33x' in hosts" },
    { "hosts = ( \"::1\" );", "f:2: '::1' in hosts" },
    { "hosts = ( \"[::1\" );", "f:2: '[::1' in hosts" },
    { "hosts = ( \"[::1]3306\" );", "f:2: '[::1]3306' in hosts" },
    { "hosts = ( \"a b\" );", "f:2: 'a b' in hosts" },
    { "hosts = ( \"localhost\",\n\"localhost:3306\" );", "f:3: 'localhost:3306' twice in hosts" },
    { "hosts = ( \"localhost\" );", "f:1: user is missing in source" },
    { "hosts = ( \"localhost\" ); user = \"\";", "f:2: user is empty" },
    { "hosts = ( \"localhost\" ); user = 5;", "f:2: user is a whole number; it must be a text" },
    { "hosts = ( \"db1\" ); user = \"u\";",
      "f:1: tls is missing in source, and db1 is another machine" },
    { "hosts = ( \"db1\" ); user = \"u\"; tls = \"on\";",
      "f:2: tls is \"on\"; it must be one of \"off\", \"required\", \"verify-ca\", \"verify-identity\"" },
    { "hosts = ( \"db1\" ); user = \"u\"; tls = true;",
      "f:2: tls is true or false; it must be a text" },
};

START_TEST(a_wrong_source_is_said)
{
    char text[1024];
    snprintf(text, sizeof(text), "source = {\n%s\n};\n" TABLES, bad_sources[_i].text);
    ck_assert_msg(!parse(text), "%s", text);
    ck_assert_msg(strncmp(error, bad_sources[_i].error, strlen(bad_sources[_i].error)) == 0, "%s",
                  error);
}
END_TEST

static const struct {
    const char *text;
    const char *error;
} bad_settings[] = {
    { "password = \"x\";",
      "f:2: unknown setting 'password' in source; there are hosts, user, password_file" },
    { "heartbeat = 5;", "f:2: unknown setting 'heartbeat' in source" },
    { "heartbeat_ms = 9;", "f:2: heartbeat_ms is 9; it must be 10 to 60000" },
    { "heartbeat_ms = 60001;", "f:2: heartbeat_ms is 60001; it must be 10 to 60000" },
    { "heartbeat_ms = 500.0;",
      "f:2: heartbeat_ms is a number with a point; it must be a whole number" },
    { "heartbeat_ms = \"500\";", "f:2: heartbeat_ms is a text; it must be a whole number" },
    { "timeout_ms = 999;", "f:2: timeout_ms is 999; it must be at least twice heartbeat_ms, 1000" },
    { "heartbeat_ms = 2501;",
      "f:2: timeout_ms is 5000; it must be at least twice heartbeat_ms, 5002" },
    { "holdoff_ms = 999;", "f:2: holdoff_ms is 999; it must be 1000 to 3600000" },
    { "grace_ms = -1;", "f:2: grace_ms is -1; it must be 0 to 3600000" },
    { "server_id = 0;", "f:2: server_id is 0; it must be 1 to 4294967295" },
    { "server_id = 4294967296L;", "f:2: server_id is 4294967296; it must be 1 to 4294967295" },
    { "holdoff_mode = \"keep\";",
      "f:2: holdoff_mode is \"keep\"; it must be one of \"shorten\", \"refuse\"" },
    { "on_gap = \"bypass\";", "f:2: on_gap is \"bypass\"; it must be one of \"flush\", \"keep\"" },
    { "on_disconnect = \"x\";",
      "f:2: on_disconnect is \"x\"; it must be one of \"bypass\", \"keep\", \"flush\"" },
    { "fence = \"none\";",
      "f:2: fence is \"none\"; it must be one of \"visible\", \"arrival\", \"delay:200ms\"" },
    { "fence = \"delay:200\";", "f:2: fence is \"delay:200\"" },
    { "fence = \"delay:0ms\";", "f:2: fence is \"delay:0ms\"" },
    { "fence = \"delay:60001ms\";", "f:2: fence is \"delay:60001ms\"" },
    { "fence = \"delay:99999999999999999999ms\";", "f:2: fence is \"delay:9999" },
    { "tls_ca = \"/x\";", "f:2: a certificate without tls; set tls = \"verify-identity\"" },
    { "tls = \"required\"; tls_ca = \"/x\";",
      "f:2: tls_ca is not looked at with tls = \"required\"" },
    { "tls = \"required\"; tls_cert = \"/x\";",
      "f:2: tls_cert and tls_key come together; one is missing" },
    { "tls = \"verify-ca\"; tls_key = \"/x\";", "f:2: tls_cert and tls_key come together" },
    { "password_file = \"/nowhere/pw\";",
      "f:2: password_file /nowhere/pw cannot be read: No such file" },
    { "password_file = \"/\";", "f:2: password_file / is no regular file" },
    { "password_file = \"/dev/null\";", "f:2: password_file /dev/null is no regular file" },
    { "online_ddl = \"_(.*\";",
      "f:2: online_ddl: '_(.*' is no extended regular expression: Unmatched (" },
    { "online_ddl = \"a{2}\";", "f:2: online_ddl: '{' in a pattern" },
    { "online_ddl = \"((((((((a+)+)+)+)+)+)+)+)+\";",
      "f:2: online_ddl: more than 8 '+' in a pattern" },
    { "online_ddl = \"(a)\\\\1\";", "f:2: online_ddl: '\\1' in a pattern; back references" },
    { "state_file = ( );", "f:2: state_file is a list; it must be a text" },
    { "fence = \"visible\"; fence = \"arrival\";",
      "f:2: duplicate setting name; once in a group is right" },
};

START_TEST(a_wrong_setting_is_said)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "source = { hosts = ( \"localhost\" ); user = \"u\";\n%s\n};\n" TABLES,
             bad_settings[_i].text);
    ck_assert_msg(!parse(text), "%s", text);
    ck_assert_msg(strncmp(error, bad_settings[_i].error, strlen(bad_settings[_i].error)) == 0, "%s",
                  error);
}
END_TEST

#define NAME       "name = \"d.t\"; "
#define RULE(text) NAME "rules = (\n{ " text " } );"
#define ANY(text)  RULE("on = \"any\"; " text)

static const struct {
    const char *text;
    const char *error;
} bad_tables[] = {
    { "rules = ( );", "f:2: a table needs name = \"database.table\", or match" },
    { "nmae = \"d.t\";",
      "f:3: unknown setting 'nmae' in a table; there are name, match, table, where, rules" },
    { "name = \"t\";", "f:3: name is \"t\"; it must be \"database.table\"" },
    { "name = \".t\";", "f:3: name is \".t\"" },
    { "name = \"d.\";", "f:3: name is \"d.\"" },
    { "name = \"a.b.c\";", "f:3: name is \"a.b.c\"" },
    { "name = 5;", "f:3: name is a whole number" },
    { "name = \"d.t\"; table = \"t\";", "f:3: name together with match or table" },
    { "match = \"d\";", "f:2: a table needs name" },
    { "table = \"d\";", "f:2: a table needs name" },
    { "match = \"d(\"; table = \"t\";", "f:3: match: 'd(' is no extended regular expression" },
    { "match = \"d\"; table = \"[\";", "f:3: table: '[' is no extended regular expression" },
    { NAME, "f:2: a table needs rules = (" },
    { NAME "rules = ();", "f:3: a table needs rules = (" },
    { NAME "rules = 5;", "f:3: a table needs rules = (" },
    { NAME "rules = ( 5 );", "f:3: a rule is a whole number; it must be a group" },
    { NAME "where = \"a = \";", "f:3: where ends too early" },
    { NAME "where = \"\";", "f:3: where is empty" },
    { RULE(""), "f:4: on is missing in a rule" },
    { RULE("on = \"\";"), "f:4: on is empty" },
    { RULE("on = \"all\";"), "f:4: on is \"all\"; it must be \"any\", or some of" },
    { RULE("on = \"any,delete\";"), "f:4: on is \"any,delete\"" },
    { RULE("on = \"insert,\";"), "f:4: on is \"insert,\"" },
    { RULE("on = \"insert,insert\";"), "f:4: on is \"insert,insert\"" },
    { RULE("on = \"update,update(a)\";"), "f:4: on is \"update,update(a)\"" },
    { RULE("on = \"insert(a)\";"), "f:4: on is \"insert(a)\"" },
    { RULE("on = \"update(a\";"), "f:4: on is \"update(a\"" },
    { RULE("on = \"update(a)b\";"), "f:4: on is \"update(a)b\"" },
    { RULE("on = \"update()\";"), "f:4: update(...) in on takes names" },
    { RULE("on = \"update(a,,b)\";"), "f:4: update(...) in on takes names" },
    { RULE("on = \"update(a,b,A)\";"), "f:4: 'A' twice in update(...)" },
    { ANY(""), "f:4: a rule without delete, stale or set; delete = \"key:{id}\" is one" },
    { ANY("when = 5;"), "f:4: unknown setting 'when' in a rule; there are on, delete, stale, set" },
    { ANY("delete = \"k:{a}\"; set = \"k:{a}\";"), "f:4: delete and set in one rule" },
    { ANY("stale = \"k:{a}\"; delete = \"k:{a}\";"), "f:4: delete and stale in one rule" },
    { ANY("delete = \"\";"), "f:4: delete is empty" },
    { ANY("delete = \"k\";"), "f:4: delete: no column in 'k'" },
    { ANY("delete = \"k:{a\";"), "f:4: delete: '{' without its '}'" },
    { ANY("delete = \"k:{a|x}\";"), "f:4: delete: unknown filter 'x'" },
    { ANY("delete = \"k:{a}\"; ttl = 5;"), "f:4: ttl with delete; it goes with stale and set" },
    { ANY("delete = \"k:{a}\"; value = \"{a}\";"), "f:4: value without set" },
    { ANY("stale = \"k:{a}\"; if_exists = true;"), "f:4: if_exists without set" },
    { ANY("stale = \"k:{a}\"; ttl = 0;"), "f:4: ttl is 0; it must be 1 to 315360000" },
    { ANY("set = \"k:{a}\";"), "f:4: set without value" },
    { ANY("set = \"k:{a}\"; value = \"x\";"), "f:4: value: no column in 'x'" },
    { ANY("set = \"k:{a}\"; value = \"{a}\"; ttl = 315360001;"),
      "f:4: ttl is 315360001; it must be 0 to" },
    { ANY("set = \"k:{a}\"; value = \"{a}\"; if_exists = 1;"),
      "f:4: if_exists is a whole number; it must be true or false" },
    { ANY("set = \"k:{old.a}\"; value = \"{a}\";"), "f:4: set: {old.a} in what is stored" },
    { RULE("on = \"delete\"; set = \"k:{a}\"; value = \"{a}\";"), "f:4: set with on = \"delete\"" },
    { ANY("delete = \"k:{a}\"; },\n{ on = \"delete\"; delete = \"k:{a}\";"),
      "f:5: the same key as in the rule of line 4, for the same change" },
    { ANY("delete = \"k:{a}\"; },\n{ on = \"update(a)\"; set = \"k:{a}\"; value = \"{a}\";"),
      "f:5: the same key as in the rule of line 4" },
};

START_TEST(a_wrong_table_is_said)
{
    char text[1024];
    snprintf(text, sizeof(text), SOURCE "tables = (\n{\n%s\n} );", bad_tables[_i].text);
    /* the group begins on line 2 */
    ck_assert_msg(!parse(text), "%s", text);
    ck_assert_msg(strncmp(error, bad_tables[_i].error, strlen(bad_tables[_i].error)) == 0, "%s\n%s",
                  error, text);
}
END_TEST

static const struct {
    const char *text;
    const char *error;
} bad_files[] = {
    { "", "f: source is missing" },
    { SOURCE, "f: tables is missing" },
    { TABLES, "f: source is missing" },
    { SOURCE TABLES "\nrules = 5;",
      "f:2: unknown setting 'rules' in the file; there are source, tables" },
    { "source = 5;" TABLES, "f:1: source is a whole number; it must be a group" },
    { SOURCE "\ntables = ();", "f:2: tables must be a list of 1 to 256 groups" },
    { SOURCE "\ntables = ( 5 );", "f:2: a table is a whole number" },
    { SOURCE "\n@include \"x\"\n" TABLES, "f:2: @include is not taken" },
    { SOURCE "\n  @include \"x\"\n" TABLES, "f:2: @include is not taken" },
    { SOURCE "\n{", "f:2: a bracket without its '}'" },
    { SOURCE "\n}", "f:2: '}' closes nothing" },
    { SOURCE "\n(\n}", "f:3: '}' in place of the ')' of line 2" },
    { "\n\"x", "f:2: a text without its closing '\"'" },
    { "\n/* x", "f:2: a comment without its closing '*/'" },
    { "\n((((((((((", "f:2: brackets within more than 8 others" },
    { "\nx y",
      "f:2: syntax error, here or above; settings are name = value; with ( ... ) for lists and { ... } for groups" },
    { "\xef\xbb\xbfsource", "f:1: begins with a byte order mark" },
};

START_TEST(a_wrong_file_is_said)
{
    ck_assert_msg(!parse(bad_files[_i].text), "%s", bad_files[_i].text);
    ck_assert_msg(strncmp(error, bad_files[_i].error, strlen(bad_files[_i].error)) == 0, "%s",
                  error);
}
END_TEST

START_TEST(comments_and_strings_hide_brackets_and_includes)
{
    ck_assert_msg(parse("# {\n// (\n/* [ @include \"x\" */\n" SOURCE
                        "tables = ( { name = \"d.t\"; rules = ( { on = \"any\";"
                        " delete = \"@include/*(\\\"[:{a}\"; } ); } );"),
                  "%s", error);
}
END_TEST

START_TEST(a_zero_byte_is_said)
{
    const char text[] = SOURCE "\n\0" TABLES;
    ck_assert(!rules_parse("f", (struct bytes){ (const uint8_t *)text, sizeof(text) - 1 }, &rules,
                           error, sizeof(error)));
    ck_assert_str_eq(error, "f:2: a zero byte: this is no text");
}
END_TEST

/* -- bounds ----------------------------------------------------------------------------------- */

/** Writes a file with so many tables, of so many rules each; all keys begin alike, or none do. */
static bool
parse_many(unsigned tables, unsigned rules_each, bool alike)
{
    char *text = malloc(RULES_FILE_LEN_MAX);
    struct writer out = writer(text, RULES_FILE_LEN_MAX - 1);
    writer_put_text(&out, SOURCE "tables = (");
    for (unsigned i = 0; i < tables; i++) {
        writer_put_text(&out,
                        i > 0 ? ",{ name = \"d.t\"; rules = (" : "{ name = \"d.t\"; rules = (");
        for (unsigned k = 0; k < rules_each; k++) {
            char rule[256];
            char made[128];
            snprintf(made, sizeof(made), alike ? "k:{a}%u:%u" : "k%u:{a}%u", k, i);
            snprintf(rule, sizeof(rule), "%s{ on = \"any\"; delete = \"%s\"; }", k > 0 ? "," : "",
                     made);
            writer_put_text(&out, rule);
        }
        writer_put_text(&out, "); }");
    }
    writer_put_text(&out, ");");
    ck_assert(!out.is_full);
    text[out.len] = 0;
    rules_destroy(rules);
    rules = NULL;
    bool is_parsed = parse(text);
    free(text);
    return is_parsed;
}

START_TEST(numbers_of_tables_and_rules_are_bounded)
{
    ck_assert_msg(parse_many(RULES_TABLES_MAX, 1, true), "%s", error);
    ck_assert_uint_eq(rules->table_count, RULES_TABLES_MAX);
    ck_assert(!parse_many(RULES_TABLES_MAX + 1, 1, true));
    ck_assert_ptr_nonnull(strstr(error, "tables must be a list of 1 to 256 groups"));
    ck_assert_msg(parse_many(2, RULES_MAX / 2, true), "%s", error);
    ck_assert_uint_eq(rules->rule_count, RULES_MAX);
    ck_assert_uint_eq(rules->tables[1].rules[0].index, RULES_MAX / 2);
    ck_assert(!parse_many(1, RULES_MAX + 1, true));
    ck_assert_ptr_nonnull(strstr(error, "more than 1024 rules"));
    ck_assert(!parse_many(3, RULES_MAX / 2, true));
    ck_assert_ptr_nonnull(strstr(error, "more than 1024 rules"));
    ck_assert_msg(parse_many(1, RULES_PREFIXES_MAX, false), "%s", error);
    ck_assert(!parse_many(1, RULES_PREFIXES_MAX + 1, false));
    ck_assert_ptr_nonnull(strstr(error, "more than 128 different texts that keys begin with"));
}
END_TEST

START_TEST(the_length_of_a_file_is_bounded)
{
    char *text = malloc(RULES_FILE_LEN_MAX + 2);
    memset(text, ' ', RULES_FILE_LEN_MAX + 2);
    memcpy(text, SOURCE TABLES, strlen(SOURCE TABLES));
    text[RULES_FILE_LEN_MAX] = 0;
    ck_assert_msg(parse(text), "%s", error);
    rules_destroy(rules);
    rules = NULL;
    text[RULES_FILE_LEN_MAX] = ' ';
    text[RULES_FILE_LEN_MAX + 1] = 0;
    ck_assert(!parse(text));
    ck_assert_str_eq(error, "f: is longer than 1048576 bytes");
    free(text);
}
END_TEST

/* -- what is read ----------------------------------------------------------------------------- */

/** Writes a file of its own; the name is good until the next call. */
static const char *
write_file(const char *text, mode_t mode)
{
    static char path[64];
    snprintf(path, sizeof(path), "/tmp/larder_rules_XXXXXX");
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(file, mode), 0);
    close(file);
    return path;
}

static bool
parse_password(const char *password, mode_t mode)
{
    char text[1024];
    const char *path = write_file(password, mode);
    snprintf(
        text, sizeof(text),
        "source = { hosts = ( \"localhost\" ); user = \"u\";\npassword_file = \"%s\"; };" TABLES,
        path);
    rules_destroy(rules);
    rules = NULL;
    bool is_parsed = parse(text);
    unlink(path);
    return is_parsed;
}

START_TEST(the_password_is_the_first_line_of_its_file)
{
    char longest[RULES_PASSWORD_LEN_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    ck_assert(parse_password("sec ret\r\nnot this\n", 0600));
    ck_assert_str_eq(rules->source.password, "sec ret");
    ck_assert_str_eq(rules->warning, "");
    ck_assert(parse_password("secret", 0640));
    ck_assert_str_eq(rules->source.password, "secret");
    ck_assert_str_eq(rules->warning, "");
    ck_assert(parse_password("secret", 0644));
    ck_assert_ptr_nonnull(strstr(rules->warning, "is open to other users; chmod 0600"));
    ck_assert_ptr_eq(strstr(rules->warning, "f:2: password_file"), rules->warning);
    ck_assert(!parse_password("\nsecret", 0600));
    ck_assert_ptr_nonnull(strstr(error, "must have 1 to 512 bytes"));
    longest[RULES_PASSWORD_LEN_MAX + 1] = 0;
    ck_assert(!parse_password(longest, 0600));
    longest[RULES_PASSWORD_LEN_MAX] = 0;
    ck_assert(parse_password(longest, 0600));
    ck_assert_str_eq(rules->source.password, longest);
}
END_TEST

START_TEST(a_source_has_defaults)
{
    ck_assert_msg(parse(SOURCE TABLES), "%s", error);
    const struct rules_source *source = &rules->source;
    ck_assert_uint_eq(source->host_count, 1);
    ck_assert_str_eq(source->hosts[0].name, "localhost");
    ck_assert_uint_eq(source->hosts[0].port, 3306);
    ck_assert_str_eq(source->user, "u");
    ck_assert_str_eq(source->password, "");
    ck_assert_int_eq(source->tls, RULES_TLS_OFF);
    ck_assert_uint_eq(source->heartbeat_ms, 500);
    ck_assert_uint_eq(source->timeout_ms, 5000);
    ck_assert_int_eq(source->fence, RULES_FENCE_VISIBLE);
    ck_assert_uint_eq(source->holdoff_ms, 3000);
    ck_assert_int_eq(source->holdoff_mode, RULES_HOLDOFF_SHORTEN);
    ck_assert_int_eq(source->on_gap, RULES_GAP_FLUSH);
    ck_assert_int_eq(source->on_disconnect, RULES_DISCONNECT_BYPASS);
    ck_assert_uint_eq(source->grace_ms, 5000);
    ck_assert_ptr_null(source->state_file);
    ck_assert_ptr_null(source->tls_ca);
    ck_assert_uint_eq(source->server_id, 0);
    ck_assert(!rules_is_online_ddl(rules, made_bytes("_users_gho")));
}
END_TEST

START_TEST(a_source_is_as_written)
{
    ck_assert_msg(
        parse(
            "source = { hosts = [ \"db1\", \"db2:3307\", \"[2001:db8::1]:3308\","
            " \"[::1]\", \"/run/db.sock\" ]; user = \"u\"; tls = \"verify-ca\";"
            " tls_ca = \"/ca\"; tls_cert = \"/cert\"; tls_key = \"/key\";"
            " heartbeat_ms = 10; timeout_ms = 20; fence = \"delay:250ms\";"
            " holdoff_ms = 1000; holdoff_mode = \"refuse\"; on_gap = \"keep\";"
            " on_disconnect = \"flush\"; grace_ms = 0; state_file = \"/state\";"
            " online_ddl = \"((((((((_+)+)+)+)+)+)+)+).*_(gho|ghc|del)\"; server_id = 4294967295L; };" TABLES),
        "%s", error);
    const struct rules_source *source = &rules->source;
    static const struct rules_host hosts[] = {
        { "db1", 3306 }, { "db2", 3307 },       { "2001:db8::1", 3308 },
        { "::1", 3306 }, { "/run/db.sock", 0 },
    };
    ck_assert_uint_eq(source->host_count, COUNT(hosts));
    for (size_t i = 0; i < COUNT(hosts); i++) {
        ck_assert_str_eq(source->hosts[i].name, hosts[i].name);
        ck_assert_uint_eq(source->hosts[i].port, hosts[i].port);
    }
    ck_assert_int_eq(source->tls, RULES_TLS_VERIFY_CA);
    ck_assert_str_eq(source->tls_ca, "/ca");
    ck_assert_str_eq(source->tls_cert, "/cert");
    ck_assert_str_eq(source->tls_key, "/key");
    ck_assert_uint_eq(source->heartbeat_ms, 10);
    ck_assert_uint_eq(source->timeout_ms, 20);
    ck_assert_int_eq(source->fence, RULES_FENCE_DELAY);
    ck_assert_uint_eq(source->fence_delay_ms, 250);
    ck_assert_uint_eq(source->holdoff_ms, 1000);
    ck_assert_int_eq(source->holdoff_mode, RULES_HOLDOFF_REFUSE);
    ck_assert_int_eq(source->on_gap, RULES_GAP_KEEP);
    ck_assert_int_eq(source->on_disconnect, RULES_DISCONNECT_FLUSH);
    ck_assert_uint_eq(source->grace_ms, 0);
    ck_assert_str_eq(source->state_file, "/state");
    ck_assert_uint_eq(source->server_id, UINT32_MAX);
    ck_assert(rules_is_online_ddl(rules, made_bytes("_users_gho")));
    ck_assert(!rules_is_online_ddl(rules, made_bytes("_users_gho2")));
    ck_assert(!rules_is_online_ddl(rules, made_bytes("")));
}
END_TEST

/* The example names a password file that is not there: without that line it must load. */
START_TEST(the_example_is_right)
{
    static char text[8192];
    FILE *file = fopen(EXAMPLE, "r");
    ck_assert_ptr_nonnull(file);
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = 0;
    ck_assert(!rules_load(EXAMPLE, &rules, error, sizeof(error)) || rules != NULL);
    if (rules == NULL) {
        ck_assert_ptr_nonnull(strstr(error, "password_file /etc/larder/db.pw cannot be read"));
        char *line = strstr(text, "password_file");
        memset(line, ' ', strcspn(line, "\n"));
        ck_assert_msg(parse(text), "%s", error);
    }
    ck_assert_uint_eq(rules->source.host_count, 2);
    ck_assert_int_eq(rules->source.tls, RULES_TLS_VERIFY_IDENTITY);
    ck_assert_uint_eq(rules->table_count, 2);
    ck_assert_uint_eq(rules->rule_count, 4);
    const struct rule *by_email = &rules->tables[0].rules[1];
    ck_assert(!by_email->on.has_insert && by_email->on.has_update && by_email->on.has_delete);
    ck_assert_uint_eq(by_email->on.column_count, 1);
    ck_assert(bytes_equal(by_email->on.columns[0], "email"));
    const struct rule *set = &rules->tables[0].rules[2];
    ck_assert_int_eq(set->action, RULE_SET);
    ck_assert_uint_eq(set->ttl_s, 3600);
    ck_assert(set->if_exists && set->on.has_insert && set->on.has_update && !set->on.has_delete);
    const struct rule *stale = &rules->tables[1].rules[0];
    ck_assert_int_eq(stale->action, RULE_STALE);
    ck_assert_uint_eq(stale->index, 3);
    ck_assert_uint_eq(stale->ttl_s, 30);
    ck_assert_ptr_nonnull(rules->tables[1].where);
    ck_assert(rules_match(rules, made_bytes("shop"), made_bytes("users")));
    ck_assert(!rules_match(rules, made_bytes("shop"), made_bytes("Users")));
    ck_assert(!rules_match(rules, made_bytes("shop2"), made_bytes("users")));
    ck_assert(rules_match(rules, made_bytes("shop_17"), made_bytes("orders")));
    ck_assert(!rules_match(rules, made_bytes("shop_"), made_bytes("orders")));
    ck_assert(!rules_match(rules, made_bytes("my_shop_1"), made_bytes("orders")));
    ck_assert(!rules_match(rules, made_bytes("shop_17"), made_bytes("orders2")));
}
END_TEST

START_TEST(a_file_is_loaded)
{
    const char *path = write_file(SOURCE TABLES, 0644);
    ck_assert_msg(rules_load(path, &rules, error, sizeof(error)), "%s", error);
    unlink(path);
    ck_assert(!rules_load(path, &rules, error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "cannot be read: No such file or directory"));
    ck_assert(!rules_load("/", &rules, error, sizeof(error)));
    ck_assert_str_eq(error, "/: is no regular file");
}
END_TEST

/* -- prefixes --------------------------------------------------------------------------------- */

static void
check_prefixes(const struct rules_prefixes *list, const char *expected)
{
    char text[1024];
    size_t len = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s", i > 0 ? " " : "",
                                (int)list->at[i].len, list->at[i].text);
    }
    ck_assert_str_eq(text, expected);
}

#define BLOCK(names, key) "{ " names " rules = ( { on = \"any\"; delete = \"" key "\"; } ); }"

START_TEST(prefixes_are_listed_once)
{
    struct rules_prefixes list;
    ck_assert_msg(
        parse(
            SOURCE
            "tables = (" BLOCK("name = \"d.t\";", "user:mail:{a}") "," BLOCK("name = \"d.t\";", "user:{a}") "," BLOCK(
                "name = \"d.t\";",
                "user:id:{a}") "," BLOCK("name = \"d.u\";",
                                         "{@db}.{@table}:{a}") "," BLOCK("match = \"s_.*\"; table = \"o|p\";",
                                                                         "o:{@db}:{@table}:{a}") "," BLOCK("match = \"s_.*\"; table = \"o\";",
                                                                                                           "q:{a}") ");"),
        "%s", error);
    rules_list_prefixes(rules, &list);
    check_prefixes(&list, "user: d.u: o: q:");
    rules_list_table_prefixes(rules, made_bytes("d"), made_bytes("t"), &list);
    check_prefixes(&list, "user:");
    rules_list_table_prefixes(rules, made_bytes("d"), made_bytes("u"), &list);
    check_prefixes(&list, "d.u:");
    rules_list_table_prefixes(rules, made_bytes("s_1"), made_bytes("o"), &list);
    check_prefixes(&list, "o:s_1:o: q:");
    rules_list_table_prefixes(rules, made_bytes("s_1"), made_bytes("x"), &list);
    ck_assert_uint_eq(list.count, 0);
    rules_list_database_prefixes(rules, made_bytes("d"), &list);
    check_prefixes(&list, "user: d.u:");
    rules_list_database_prefixes(rules, made_bytes("s_1"), &list);
    check_prefixes(&list, "o:s_1: q:");
    rules_list_database_prefixes(rules, made_bytes("x"), &list);
    ck_assert_uint_eq(list.count, 0);
}
END_TEST

START_TEST(an_empty_prefix_covers_all)
{
    struct rules_prefixes list;
    ck_assert(parse(SOURCE "tables = (" BLOCK("name = \"d.t\";", "user:{a}") "," BLOCK(
        "name = \"d.t\";", "{a}:user") "," BLOCK("name = \"d.t\";", "x:{a}") ");"));
    rules_list_prefixes(rules, &list);
    ck_assert_uint_eq(list.count, 1);
    ck_assert_uint_eq(list.at[0].len, 0);
}
END_TEST

int
main(void)
{
    if (!has_hook) {
        puts("built without the MySQL hook");
        return 77;
    }
    TCase *tcase = tcase_create("rules");
    tcase_add_checked_fixture(tcase, NULL, close_all);
    tcase_add_loop_test(tcase, a_wrong_source_is_said, 0, COUNT(bad_sources));
    tcase_add_loop_test(tcase, a_wrong_setting_is_said, 0, COUNT(bad_settings));
    tcase_add_loop_test(tcase, a_wrong_table_is_said, 0, COUNT(bad_tables));
    tcase_add_loop_test(tcase, a_wrong_file_is_said, 0, COUNT(bad_files));
    tcase_add_test(tcase, comments_and_strings_hide_brackets_and_includes);
    tcase_add_test(tcase, a_zero_byte_is_said);
    tcase_add_test(tcase, numbers_of_tables_and_rules_are_bounded);
    tcase_add_test(tcase, the_length_of_a_file_is_bounded);
    tcase_add_test(tcase, the_password_is_the_first_line_of_its_file);
    tcase_add_test(tcase, a_source_has_defaults);
    tcase_add_test(tcase, a_source_is_as_written);
    tcase_add_test(tcase, the_example_is_right);
    tcase_add_test(tcase, a_file_is_loaded);
    tcase_add_test(tcase, prefixes_are_listed_once);
    tcase_add_test(tcase, an_empty_prefix_covers_all);
    Suite *suite = suite_create("mysql/rules");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
