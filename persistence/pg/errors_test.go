package pg_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

func TestErr(t *testing.T) {
	t.Parallel()
	server := func(code, constraint string) error {
		return fmt.Errorf("query: %w", &pgconn.PgError{Code: code, ConstraintName: constraint, Message: "secret text"})
	}
	for name, tc := range map[string]struct {
		err   error
		code  nexus.Code
		field string
	}{
		"nil":                      {nil, "", ""},
		"unique":                   {server("23505", "app_user_email_key"), nexus.Conflict, "email"},
		"unique, unknown":          {server("23505", "other"), nexus.Conflict, ""},
		"check":                    {server("23514", "mess_rating_stars_check"), nexus.Invalid, "stars"},
		"check of ours":            {server("23514", "audit_log_seq_check"), nexus.Internal, ""},
		"not null":                 {server("23502", ""), nexus.Internal, ""},
		"foreign key":              {server("23503", "mess_menu_hall_id_fkey"), nexus.NotFound, ""},
		"foreign key of ours":      {server("23503", "other"), nexus.Conflict, ""},
		"NUL":                      {server("22021", ""), nexus.Invalid, ""},
		"no UUID":                  {server("22P02", ""), nexus.Invalid, ""},
		"serialization":            {server("40001", ""), nexus.Unavailable, ""},
		"deadlock":                 {server("40P01", ""), nexus.Unavailable, ""},
		"lock time-out":            {server("55P03", ""), nexus.Unavailable, ""},
		"statement time-out":       {server("57014", ""), nexus.Unavailable, ""},
		"admin shutdown":           {server("57P01", ""), nexus.Unavailable, ""},
		"crash":                    {server("57P02", ""), nexus.Unavailable, ""},
		"starting":                 {server("57P03", ""), nexus.Unavailable, ""},
		"too many connections":     {server("53300", ""), nexus.Unavailable, ""},
		"connection failure":       {server("08006", ""), nexus.Unavailable, ""},
		"syntax":                   {server("42601", ""), nexus.Internal, ""},
		"permission":               {server("42501", ""), nexus.Internal, ""},
		"no rows":                  {pgx.ErrNoRows, nexus.Internal, ""},
		"end of file":              {io.ErrUnexpectedEOF, nexus.Unavailable, ""},
		"closed":                   {net.ErrClosed, nexus.Unavailable, ""},
		"refused":                  {&net.OpError{Op: "dial", Err: errors.New("refused")}, nexus.Unavailable, ""},
		"code of ours":             {nexus.Errorf(nexus.Fenced, "x"), nexus.Fenced, ""},
		"code of ours, wrapped":    {fmt.Errorf("x: %w", nexus.Errorf(nexus.Stale, "x")), nexus.Stale, ""},
		"something else":           {errors.New("x"), nexus.Internal, ""},
		"cancelled stays":          {context.Canceled, nexus.Unavailable, ""},
		"deadline of a connection": {context.DeadlineExceeded, nexus.Unavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := pg.Err(tc.err)
			if tc.field != "" {
				onField(t, got, tc.code, tc.field)
			}
			code(t, got, tc.code)
			var e *nexus.Error
			if !errors.As(got, &e) {
				return
			}
			if strings.Contains(e.Message, "secret") {
				t.Errorf("the caller is shown the server's words: %q", e.Message)
			}
			if (e.RetryAfter == time.Second) != (tc.code == nexus.Unavailable) {
				t.Errorf("retry after %s", e.RetryAfter)
			}
		})
	}
	if err := pg.Err(context.Canceled); !errors.Is(err, context.Canceled) || errors.As(err, new(*nexus.Error)) {
		t.Errorf("a cancelled context became %v", err)
	}
}

// ours are constraints that no input of a caller can meet: what they guard is made by the program.
var ours = []string{
	"api_key_secret_hash_check", "app_user_token_epoch_check", "app_user_version_check",
	"audit_detail_salt_check", "audit_detail_seq_fkey", "audit_head_hash_check", "audit_head_one_check", "audit_head_seq_check",
	"audit_log_detail_commit_check", "audit_log_hash_check", "audit_log_hash_key", "audit_log_prev_hash_check", "audit_log_seq_check",
	"auth_refresh_hash_check", "avatar_url_check", "avatar_user_id_key", "auth_refresh_session_id_fkey", "crowd_event_seq_check", "crowd_sample_minute_check",
	"crowd_sample_occupancy_check", "crowd_sample_source_check", "dish_allergen_dish_id_fkey", "grain_snapshot_epoch_check",
	"grain_snapshot_identity_check", "grain_snapshot_kind_check", "grain_snapshot_version_check", "mess_hall_version_check",
	"mess_menu_hall_id_serve_date_meal_key", "mess_menu_item_dish_id_fkey", "mess_menu_item_menu_id_fkey",
	"mess_menu_item_position_check", "mess_menu_version_check", "profile_user_id_fkey", "profile_version_check",
	"retention_rule_action_check", "retention_rule_entity_check", "retention_rule_keep_check", "user_role_user_id_fkey", "dish_name_key",
}

// Every constraint of the schema has a name for the client or a reason to have none, and no name
// outlives its constraint.
func TestEveryConstraintIsMapped(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	rows, err := db.Pool().Query(t.Context(), `
		select conname from pg_constraint where connamespace = 'public'::regnamespace and contype in ('c', 'f', 'u') and conrelid <> 'goose_db_version'::regclass
		union select indexrelid::regclass::text from pg_index where indisunique and not indisprimary and indrelid > 16384 and indrelid <> 'goose_db_version'::regclass
			and indrelid in (select oid from pg_class where relnamespace = 'public'::regnamespace)`)
	ok(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	ok(t, err)
	known := map[string]bool{}
	for name := range pg.Guarded {
		known[name] = true
	}
	for name := range pg.Missing {
		known[name] = true
	}
	for _, name := range ours {
		known[name] = true
	}
	for _, name := range names {
		if !known[name] {
			t.Errorf("%s is not mapped", name)
		}
		delete(known, name)
	}
	for name := range known {
		t.Errorf("%s is mapped and does not exist", name)
	}
}
