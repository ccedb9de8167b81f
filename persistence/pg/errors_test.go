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
	"cap_alert_created_by_fkey", "cap_alert_identifier_check", "cap_alert_reference_fkey", "cap_alert_sender_check", "duty_shift_user_id_fkey",
	"escalation_policy_default_idx", "escalation_policy_version_check", "push_subscription_user_id_fkey", "safety_cursor_seq_check",
	"safety_cursor_stream_fkey", "safety_delivery_alert_fkey", "safety_delivery_check", "safety_delivery_check1", "safety_delivery_check2",
	"safety_delivery_incident_id_event_seq_fkey", "safety_delivery_incident_id_fkey", "safety_delivery_kind_check", "safety_delivery_seq_check",
	"safety_delivery_stream_fkey", "safety_page_address_check", "safety_page_channel_check", "safety_page_incident_id_event_seq_channel_address_key",
	"safety_page_incident_id_fkey", "safety_page_last_error_check", "safety_page_state_check", "safety_page_user_id_fkey",
	"safety_stream_last_seq_check", "safety_timer_incident_id_fkey", "safety_timer_state_check", "safety_timer_user_id_fkey",
	"safety_timer_version_check", "sos_event_hash_check", "sos_event_incident_id_fkey", "sos_event_kind_check", "sos_event_prev_hash_check",
	"sos_event_seq_check", "sos_incident_closed_check", "sos_incident_head_hash_check", "sos_incident_last_seq_check", "sos_incident_next_check",
	"sos_incident_one_open_idx", "sos_incident_state_check", "sos_location_incident_id_fkey", "sos_message_incident_id_fkey", "sos_message_sender_fkey",
	"sos_press_incident_id_fkey", "sos_press_seq_check", "sos_press_user_id_fkey", "sos_responder_incident_id_fkey", "sos_responder_state_check",
	"sos_responder_user_id_fkey", "external_id_kind_check", "external_id_source_check", "external_id_sourced_id_check", "import_error_run_id_fkey",
	"import_run_created_by_fkey", "import_run_end_check", "import_run_failure_check", "import_run_kind_check", "import_run_running_key",
	"import_run_state_check", "import_run_step_check",

	"assignment_created_by_fkey", "assignment_version_check", "attendance_device_check", "attendance_event_actor_fkey",
	"attendance_event_outcome_check", "attendance_event_session_id_fkey", "attendance_event_user_id_fkey", "attendance_marked_by_fkey",
	"attendance_method_check", "attendance_session_id_course_id_fkey", "calendar_feed_token_hash_check", "calendar_feed_token_hash_key",
	"calendar_feed_user_id_fkey", "class_session_id_course_id_key", "class_session_opened_by_fkey", "class_session_secret_check",
	"class_session_secret_check1", "class_session_status_check", "class_session_version_check", "course_meeting_course_id_fkey",
	"course_prerequisite_course_id_fkey", "course_seat_course_id_fkey", "course_seat_seat_no_check", "course_staff_course_id_fkey",
	"course_version_check", "course_last_place_check", "enrollment_course_id_place_key", "enrollment_course_id_seat_no_fkey", "enrollment_course_id_seat_no_key",
	"enrollment_place_check", "enrollment_place_check1", "enrollment_seat_no_check", "enrollment_status_check", "notification_body_check",
	"notification_dedupe_key_check", "notification_kind_check", "notification_priority_check", "notification_seq_check",
	"notification_title_check", "notification_user_id_dedupe_key_key", "notification_user_id_seq_key", "outbox_cursor_seq_check",
	"outbox_cursor_stream_fkey", "outbox_line_event_check", "outbox_line_seq_check", "outbox_line_stream_fkey",
	"outbox_stream_last_seq_check", "outbox_stream_stream_check", "outbox_stream_user_id_fkey", "room_version_check",
	"term_holiday_term_id_fkey", "term_version_check",
	"mail_action_evidence_check", "mail_action_letter_id_tz_fkey", "mail_action_n_check", "mail_action_text_check", "mail_done_mail_id_fkey",
	"mail_done_n_check", "mail_letter_body_check", "mail_letter_from_addr_check", "mail_letter_from_name_check", "mail_letter_id_fkey",
	"mail_letter_key_check", "mail_letter_key_key", "mail_letter_message_id_check", "mail_letter_subject_check",
	"mail_summary_category_check", "mail_summary_engine_check", "mail_summary_letter_id_fkey", "mail_summary_summary_check",
	"mail_summary_tokens_check", "mail_user_id_fkey", "mail_user_id_letter_id_key",
	"comment_sentiment_check", "comment_sentiment_engine_check", "comment_sentiment_menu_id_user_id_fkey", "comment_sentiment_score_check",
	"crowd_forecast_hall_id_fkey", "crowd_forecast_model_check", "forecast_score_hall_id_fkey", "forecast_score_horizon_min_check", "forecast_score_model_check",
	"forecast_score_n_check", "forecast_advice_hall_id_fkey", "forecast_advice_model_check", "forecast_trial_hall_id_fkey", "forecast_trial_horizon_min_check",
	"forecast_trial_model_check", "special_day_kind_check", "special_day_name_check", "comment_sentiment_asked_check", "sentiment_trial_model_check", "sentiment_trial_n_check",
	"content_report_resolved_by_fkey", "listing_image_listing_id_fkey", "listing_image_url_check", "listing_reason_check", "listing_status_check",
	"listing_version_check", "listing_word_word_check", "lost_claim_item_id_fkey", "lost_claim_tries_check", "lost_claim_user_id_fkey",
	"lost_item_claimed_by_fkey", "lost_item_status_check", "offer_accepted_key", "offer_listing_id_fkey", "offer_status_check",
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
