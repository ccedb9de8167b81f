-- +goose Up

-- When each meeting is held, by the clock of its term's zone: on its weekday, but for holidays and for the days of which a class was made, which
-- has times and a room of its own.
create view meeting_occurrence as
select d.meeting_id, d.course_id, d.room_id, d.day, ((d.day + d.starts) at time zone d.tz)::timestamptz as starts_at, ((d.day + d.ends) at time zone d.tz)::timestamptz as ends_at
from (select s.meeting_id, s.course_id, s.room_id, s.term_id, s.tz, s.starts, s.ends,
             generate_series(s.first + (s.weekday - extract(isodow from s.first)::integer + 7) % 7, s.last::timestamp, interval '7 days')::date as day
      from (select m.id as meeting_id, m.course_id, m.room_id, m.weekday, m.starts, m.ends, t.id as term_id, t.tz,
                   coalesce(m.from_day, t.starts_on) as first, coalesce(m.until_day, t.ends_on) as last
            from course_meeting m join course c on c.id = m.course_id join term t on t.id = c.term_id) s) d
where not exists (select from term_holiday h where h.term_id = d.term_id and h.day = d.day)
  and not exists (select from class_session x where x.meeting_id = d.meeting_id and x.occurs_on = d.day);
