-- name: Recipients :many
-- The active accounts of addresses.
select lower(email)::text as email, id from app_user where lower(email) = any(@emails::text[]) and status = 'active';

-- name: AddLetter :exec
-- No row for one that came before.
insert into mail_letter (id, key, message_id, from_addr, from_name, subject, body, sent_at)
values (@id, @key, @message_id, @from_addr, @from_name, @subject, @body, sqlc.narg('sent_at'))
on conflict (key) do nothing;

-- name: LockLetter :one
-- Whoever delivers it to others, or makes its summary, waits.
select id from mail_letter where key = @key for update;

-- name: LockLetterByID :one
select id from mail_letter where id = @id for update;

-- name: Letter :one
select * from mail_letter where id = @id;

-- name: AddMails :many
-- Those who have it already are passed over. Returns the zones of the others.
insert into mail (id, letter_id, user_id, tz)
select r.id, @letter_id, r.user_id, coalesce(p.tz, 'UTC')
from (select unnest(@ids::uuid[]) as id, unnest(@users::uuid[]) as user_id) r
join app_user u on u.id = r.user_id and u.status = 'active'
left join profile p on p.user_id = r.user_id
order by r.user_id
on conflict (user_id, letter_id) do nothing
returning id, user_id, tz;

-- name: MailSummaryOf :one
select * from mail_summary where letter_id = @letter_id and tz = @tz;

-- name: MailActionsOf :many
select * from mail_action where letter_id = @letter_id and tz = @tz order by n;

-- name: AddMailSummary :execrows
insert into mail_summary (letter_id, tz, summary, category, urgent, suspicious, engine, tokens)
values (@letter_id, @tz, @summary, @category, @urgent, @suspicious, @engine, @tokens)
on conflict do nothing;

-- name: AddMailActions :exec
insert into mail_action (letter_id, tz, n, text, due_at, evidence)
select @letter_id, @tz, a.n, a.text, nullif(a.due_at, '0001-01-01 00:00:00+00'), a.evidence
from (select unnest(@ns::smallint[]) as n, unnest(@texts::text[]) as text, unnest(@due_ats::timestamptz[]) as due_at, unnest(@evidences::text[]) as evidence) a;

-- name: MailsOfLetter :many
select id, user_id from mail where letter_id = @letter_id and tz = @tz order by user_id;

-- name: Mails :many
-- Somebody's, the newest first. What is not summed up yet is urgent for nobody.
select m.id, l.from_addr, l.from_name, l.subject, l.sent_at, m.received_at, s.summary, s.category, s.urgent, s.suspicious, s.engine
from mail m join mail_letter l on l.id = m.letter_id left join mail_summary s on s.letter_id = m.letter_id and s.tz = m.tz
where m.user_id = @user_id and m.id < @before::uuid and (not @urgent::boolean or s.urgent)
order by m.id desc limit @max_rows;

-- name: Mail :one
select m.id, m.letter_id, m.tz, l.message_id, l.from_addr, l.from_name, l.subject, l.sent_at, m.received_at, l.body,
       s.summary, s.category, s.urgent, s.suspicious, s.engine
from mail m join mail_letter l on l.id = m.letter_id left join mail_summary s on s.letter_id = m.letter_id and s.tz = m.tz
where m.user_id = @user_id and m.id = @id;

-- name: MailDone :many
select n, done_at from mail_done where mail_id = @mail_id;

-- name: DoMailAction :one
-- Once; no row for an action that the mail has not.
insert into mail_done (mail_id, n)
select m.id, a.n from mail m join mail_action a on a.letter_id = m.letter_id and a.tz = m.tz
where m.id = @id and m.user_id = @user_id and a.n = @n
on conflict (mail_id, n) do update set n = excluded.n
returning done_at;

-- name: PurgeLetters :execrows
-- Those that nobody has any more. Rows that another node is at are left to it.
delete from mail_letter where ctid = any(array(
    select l.ctid from mail_letter l
    where l.received_at < now() - interval '1 hour' and not exists (select from mail m where m.letter_id = l.id)
    limit @most for update skip locked
));
