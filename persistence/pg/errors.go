package pg

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"nexus"
)

// retryAfter is what callers are told to wait while the database is away.
const retryAfter = time.Second

func unavailable(cause error) error {
	e := nexus.Wrap(nexus.Unavailable, cause, "the database is away or too busy")
	e.RetryAfter = retryAfter
	return e
}

// contended reports errors of transactions that lost against others and may win the next time.
func contended(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}

// field is what a client calls the thing that a constraint guards.
type field struct{ name, detail string }

// guarded names the constraints that a caller's input can meet. Those of ids that the program
// makes itself, of versions and of hashes are not here: meeting them is our fault.
var guarded = map[string]field{
	"app_user_email_key":           {"email", "is taken"},
	"app_user_reg_no_key":          {"regNo", "is taken"},
	"mess_hall_name_key":           {"name", "is taken"},
	"mess_hall_is_default_key":     {"default", "another hall is the default one"},
	"crowd_event_hall_id_seq_key":  {"seq", "is taken"},
	"api_key_secret_hash_key":      {"secret", "is taken"},
	"app_user_email_check":         {"email", "has a wrong length"},
	"app_user_reg_no_check":        {"regNo", "has a wrong length"},
	"app_user_status_check":        {"status", "is none"},
	"user_role_role_check":         {"roles", "holds something that is no role"},
	"profile_full_name_check":      {"name", "has a wrong length"},
	"profile_phone_check":          {"phone", "is too long"},
	"profile_address_check":        {"address", "is too long"},
	"profile_bio_check":            {"bio", "is too long"},
	"profile_dob_check":            {"dob", "is out of range"},
	"profile_avatar_url_check":     {"avatarUrl", "is too long"},
	"avatar_jpeg_check":            {"avatar", "has a wrong size"},
	"profile_hostel_check":         {"hostel", "is too long"},
	"profile_room_check":           {"room", "is too long"},
	"profile_warden_check":         {"warden", "is too long"},
	"profile_department_check":     {"department", "is too long"},
	"profile_course_check":         {"course", "is too long"},
	"profile_semester_check":       {"semester", "is out of range"},
	"profile_locale_check":         {"locale", "has a wrong length"},
	"profile_tz_check":             {"tz", "has a wrong length"},
	"emergency_contact_rank_check": {"contacts", "are too many"},
	"emergency_contact_name_check": {"name", "has a wrong length"},

	"emergency_contact_channel_check":      {"channel", "is none of sms, email, user"},
	"emergency_contact_address_check":      {"address", "has a wrong length"},
	"auth_session_device_check":            {"device", "is too long"},
	"api_key_name_check":                   {"name", "has a wrong length"},
	"api_key_scopes_check":                 {"scopes", "are none, or hold something that is no scope"},
	"idempotency_key_check":                {"Idempotency-Key", "has 1 to 200 bytes"},
	"mess_hall_capacity_check":             {"capacity", "is out of range"},
	"mess_hall_dwell_min_check":            {"dwellMin", "is out of range"},
	"mess_hall_name_check":                 {"name", "has a wrong length"},
	"mess_hall_service_rate_per_min_check": {"serviceRatePerMin", "is out of range"},
	"mess_hall_tz_check":                   {"tz", "has a wrong length"},
	"mess_menu_closes_at_check":            {"closesAt", "is not after opensAt"},
	"mess_menu_meal_check":                 {"meal", "is none"},
	"mess_menu_serve_date_check":           {"date", "is out of range"},
	"mess_menu_item_station_check":         {"station", "is too long"},
	"dish_name_check":                      {"name", "has a wrong length"},
	"dish_diet_check":                      {"diet", "is none"},
	"dish_serving_g_check":                 {"servingG", "is out of range"},
	"dish_kcal_check":                      {"nutrition.kcal", "is out of range"},
	"dish_protein_g_check":                 {"nutrition.proteinG", "is out of range"},
	"dish_carbs_g_check":                   {"nutrition.carbsG", "is out of range"},
	"dish_fat_g_check":                     {"nutrition.fatG", "is out of range"},
	"dish_sodium_mg_check":                 {"nutrition.sodiumMg", "is out of range"},
	"dish_allergen_allergen_check":         {"allergens", "hold one of a wrong length"},
	"mess_rating_stars_check":              {"stars", "are 1 to 5"},
	"mess_rating_comment_check":            {"comment", "is too long"},
	"crowd_event_source_check":             {"source", "has a wrong length"},
	"crowd_event_source_event_id_check":    {"eventId", "has a wrong length"},
	"crowd_event_delta_check":              {"delta", "is out of range"},
	"crowd_event_absolute_check":           {"absolute", "is out of range"},
	"crowd_event_kind_check":               {"delta", "exactly one of delta and absolute is given"},

	"escalation_policy_name_key":            {"name", "is taken"},
	"escalation_policy_name_check":          {"name", "has a wrong length"},
	"escalation_policy_every_seconds_check": {"everySeconds", "is out of range"},
	"escalation_policy_move_seconds_check":  {"moveSeconds", "is out of range"},
	"duty_shift_check":                      {"endsAt", "is not after startsAt"},
	"sos_incident_category_check":           {"category", "has a wrong length"},
	"sos_press_client_key_check":            {"clientKey", "has a wrong length"},
	"sos_location_client_seq_check":         {"clientSeq", "is out of range"},
	"sos_location_lat_check":                {"lat", "is out of range"},
	"sos_location_lng_check":                {"lng", "is out of range"},
	"sos_location_accuracy_check":           {"accuracy", "is out of range"},
	"sos_location_battery_check":            {"battery", "is out of range"},
	"sos_message_client_msg_id_check":       {"clientMsgId", "has a wrong length"},
	"push_subscription_endpoint_check":      {"endpoint", "has a wrong length"},
	"push_subscription_p256dh_check":        {"keys.p256dh", "has a wrong length"},
	"push_subscription_auth_check":          {"keys.auth", "has a wrong length"},
	"safety_timer_note_check":               {"note", "is too long"},
	"safety_timer_category_check":           {"category", "has a wrong length"},
	"cap_alert_status_check":                {"status", "is none"},
	"cap_alert_msg_type_check":              {"msgType", "is none"},
	"cap_alert_category_check":              {"category", "is none"},
	"cap_alert_event_check":                 {"event", "has a wrong length"},
	"cap_alert_urgency_check":               {"urgency", "is none"},
	"cap_alert_severity_check":              {"severity", "is none"},
	"cap_alert_certainty_check":             {"certainty", "is none"},
	"cap_alert_headline_check":              {"headline", "has a wrong length"},
	"cap_alert_description_check":           {"description", "is too long"},
	"cap_alert_instruction_check":           {"instruction", "is too long"},
	"cap_alert_area_check":                  {"area", "has a wrong length"},
	"cap_alert_expires_check":               {"expires", "is over"},

	"term_id_check":                          {"id", "has letters, digits, points and dashes, at most 40"},
	"term_name_check":                        {"name", "has a wrong length"},
	"term_starts_on_check":                   {"startsOn", "is out of range"},
	"term_ends_on_check":                     {"endsOn", "is out of range"},
	"term_ends_on_check1":                    {"endsOn", "is before startsOn"},
	"term_tz_check":                          {"tz", "has a wrong length"},
	"term_holiday_name_check":                {"holidays", "hold a name of a wrong length"},
	"room_block_code_number_key":             {"number", "is there already in this block"},
	"room_block_code_check":                  {"blockCode", "has a wrong length"},
	"room_block_name_check":                  {"blockName", "has a wrong length"},
	"room_number_check":                      {"number", "has a wrong length"},
	"room_lat_check":                         {"place.lat", "is out of range"},
	"room_lng_check":                         {"place.lng", "is out of range"},
	"room_fence_m_check":                     {"fenceM", "is out of range"},
	"room_place_check":                       {"fenceM", "needs a place"},
	"course_term_id_code_key":                {"code", "is taken in this term"},
	"course_code_check":                      {"code", "has a wrong length"},
	"course_title_check":                     {"title", "has a wrong length"},
	"course_credits_check":                   {"credits", "are out of range"},
	"course_capacity_check":                  {"capacity", "is out of range"},
	"course_waitlist_capacity_check":         {"waitlistCapacity", "is out of range"},
	"course_min_attendance_pct_check":        {"minAttendancePct", "is 0 to 100"},
	"course_prerequisite_code_check":         {"prerequisites", "hold one of a wrong length"},
	"course_staff_kind_check":                {"staff", "hold a kind that is none"},
	"course_meeting_weekday_check":           {"weekday", "is 1 to 7"},
	"course_meeting_check":                   {"ends", "is not after starts"},
	"course_meeting_kind_check":              {"kind", "has a wrong length"},
	"course_meeting_notes_check":             {"notes", "are too long"},
	"course_meeting_until_day_check":         {"untilDay", "is before fromDay"},
	"assignment_title_check":                 {"title", "has a wrong length"},
	"assignment_description_check":           {"description", "is too long"},
	"assignment_points_check":                {"points", "are out of range"},
	"class_session_ends_at_check":            {"endsAt", "is not after startsAt, or a day later"},
	"class_session_open_key":                 {"courseId", "another class of this course is open"},
	"class_session_topic_check":              {"topic", "is too long"},
	"class_session_reason_check":             {"reason", "is too long"},
	"class_session_late_min_check":           {"lateMin", "is out of range"},
	"class_session_meeting_id_occurs_on_key": {"date", "this meeting has a session of this day already"},
	"attendance_status_check":                {"status", "is none"},
	"attendance_remarks_check":               {"reason", "is too long"},
	"attendance_event_reason_check":          {"reason", "is too long"},

	"listing_title_check":                             {"title", "has a wrong length"},
	"listing_description_check":                       {"description", "is too long"},
	"listing_category_check":                          {"category", "has a wrong length"},
	"listing_condition_check":                         {"condition", "is none"},
	"listing_price_minor_check":                       {"priceMinor", "is out of range"},
	"listing_currency_check":                          {"currency", "has three capital letters"},
	"listing_image_jpeg_check":                        {"image", "has a wrong size"},
	"listing_image_position_check":                    {"images", "are too many"},
	"offer_amount_minor_check":                        {"amountMinor", "is out of range"},
	"offer_open_key":                                  {"amountMinor", "an offer of yours is open already"},
	"lost_item_kind_check":                            {"kind", "is none"},
	"lost_item_title_check":                           {"title", "has a wrong length"},
	"lost_item_description_check":                     {"description", "is too long"},
	"lost_item_place_check":                           {"place", "is too long"},
	"lost_item_secret_check":                          {"detail", "is too long"},
	"lost_item_check":                                 {"detail", "is what only the owner of a found thing can know; lost things have none"},
	"content_report_entity_check":                     {"entity", "is none"},
	"content_report_reason_check":                     {"reason", "has a wrong length"},
	"content_report_resolution_check":                 {"reason", "is too long"},
	"content_report_reporter_id_entity_entity_id_key": {"entityId", "you have reported this before"},
}

// missing names what a foreign key points at.
var missing = map[string]string{
	"auth_session_user_id_fkey":         "account",
	"avatar_user_id_fkey":               "account",
	"emergency_contact_user_id_fkey":    "account",
	"mess_rating_user_id_fkey":          "account",
	"mess_rating_menu_id_fkey":          "menu",
	"mess_menu_hall_id_fkey":            "hall",
	"crowd_event_hall_id_fkey":          "hall",
	"crowd_sample_hall_id_fkey":         "hall",
	"sos_incident_user_id_fkey":         "account",
	"sos_event_actor_fkey":              "account",
	"safety_pin_user_id_fkey":           "account",
	"course_term_id_fkey":               "term",
	"course_staff_user_id_fkey":         "account",
	"course_meeting_room_id_fkey":       "room",
	"course_meeting_teacher_fkey":       "teacher",
	"enrollment_course_id_fkey":         "course",
	"enrollment_user_id_fkey":           "account",
	"assignment_course_id_fkey":         "course",
	"class_session_course_id_fkey":      "course",
	"class_session_meeting_id_fkey":     "meeting",
	"class_session_room_id_fkey":        "room",
	"attendance_user_id_fkey":           "account",
	"attendance_course_id_user_id_fkey": "enrolment",
	"notification_user_id_fkey":         "account",
	"listing_seller_id_fkey":            "account",
	"listing_image_owner_id_fkey":       "account",
	"offer_buyer_id_fkey":               "account",
	"lost_item_reporter_id_fkey":        "account",
	"content_report_reporter_id_fkey":   "account",
}

// Err gives an error of pgx its code. Errors that have one keep it, a cancelled context stays
// what it is, and what is our fault stays without a code, which is Internal.
func Err(err error) error {
	var known *nexus.Error
	var e *pgconn.PgError
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &e):
		return fromServer(e, err)
	case connectionLost(err):
		return unavailable(err)
	default:
		return err
	}
}

func connectionLost(err error) bool {
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.Timeout(err) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

func fromServer(e *pgconn.PgError, err error) error {
	switch e.Code {
	case "23505": // unique_violation
		return guardedBy(nexus.Conflict, e, err)
	case "23514", "23502": // check_violation, not_null_violation
		return guardedBy(nexus.Invalid, e, err)
	case "23503": // foreign_key_violation
		if what, ok := missing[e.ConstraintName]; ok {
			return nexus.Wrap(nexus.NotFound, err, "no such "+what)
		}
		return nexus.Wrap(nexus.Conflict, err, "refers to something that is not there, or is still referred to")
	case "22021", "22P05": // bytes that are not UTF-8, or that the encoding lacks
		return nexus.Wrap(nexus.Invalid, err, "text holds NUL or bytes that are not UTF-8")
	case "22P02", "22001", "22003", "22007", "22008": // form, length or range of a value
		return nexus.Wrap(nexus.Invalid, err, "a value has the wrong form or is out of range")
	case "40001", "40P01", // lost against others time and again
		"55P03", "57014", // lock and statement time-outs
		"25P03", "25006", // idle in a transaction; a standby that only reads
		"57P01", "57P02", "57P03", "57P05", // shut down, crashed, starting, idle
		"53000", "53100", "53200", "53300": // out of disk, memory or connections
		return unavailable(err)
	}
	if strings.HasPrefix(e.Code, "08") { // the connection itself
		return unavailable(err)
	}
	return err
}

// guardedBy is the error of a constraint, with the field where it is the caller's.
func guardedBy(code nexus.Code, e *pgconn.PgError, err error) error {
	f, ok := guarded[e.ConstraintName]
	switch {
	case ok:
		w := nexus.Wrap(code, err, f.name+": "+f.detail)
		w.Fields = []nexus.FieldError{{Field: f.name, Detail: f.detail}}
		return w
	case code == nexus.Conflict:
		return nexus.Wrap(code, err, "is there already")
	default:
		return err
	}
}
