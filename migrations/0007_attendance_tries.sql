-- +goose Up
-- How often each student tried to be marked in a class is counted by student.
drop index attendance_event_session_id_idx;
create index attendance_event_session_id_user_id_idx on attendance_event (session_id, user_id);
