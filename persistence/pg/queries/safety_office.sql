-- name: Policies :many
select * from escalation_policy order by not is_default, name;

-- name: LockPolicy :one
-- The policy with an id; without one, the default policy.
select * from escalation_policy
where id = sqlc.narg('id')::uuid or sqlc.narg('id')::uuid is null and is_default
for update;

-- name: KeepPolicy :one
insert into escalation_policy (id, name, steps, every_seconds, move_seconds)
values (@id, @name, @steps, @every_seconds, @move_seconds)
on conflict (id) do update
set name = excluded.name, steps = excluded.steps, every_seconds = excluded.every_seconds, move_seconds = excluded.move_seconds,
    version = escalation_policy.version + 1
returning *;

-- name: Shifts :many
select * from duty_shift where starts_at < @to_at and ends_at > @from_at order by starts_at, id;

-- name: InsertShift :one
-- No row for somebody who is not active staff.
insert into duty_shift (id, user_id, starts_at, ends_at)
select @id, u.id, @starts_at, @ends_at from app_user u
where u.id = @user_id and u.status = 'active'
  and exists (select from user_role r where r.user_id = u.id and r.role <> 'STUDENT')
returning *;

-- name: RunningTimers :many
select * from safety_timer where user_id = @user_id and state = 'RUNNING' order by due_at, id;

-- name: InsertTimer :one
-- No row for a time that is over.
insert into safety_timer (id, user_id, note, category, due_at)
select @id, @user_id, @note, @category, @due_at where @due_at::timestamptz > clock_timestamp()
returning *;

-- name: LockTimer :one
select * from safety_timer where id = @id and user_id = @user_id for update;

-- name: MoveTimer :one
update safety_timer set due_at = @due_at, version = version + 1
where id = @id and @due_at::timestamptz > clock_timestamp()
returning *;

-- name: EndTimer :one
update safety_timer set state = 'DONE', version = version + 1 where id = @id returning *;

-- name: DueTimers :many
-- In no order, so that some that cannot be raised keep no others waiting for long.
select id, user_id from safety_timer where state = 'RUNNING' and due_at <= clock_timestamp() order by random() limit @most;

-- name: LockDueTimer :one
-- No row if it is not due any more, or another node has it.
select * from safety_timer
where id = @id and state = 'RUNNING' and due_at <= clock_timestamp()
for update skip locked;

-- name: ExpireTimer :exec
update safety_timer set state = 'EXPIRED', incident_id = @incident_id::uuid, version = version + 1 where id = @id;

-- name: SafetyPins :one
select pin_hash, duress_hash from safety_pin where user_id = @user_id;

-- name: SetSafetyPins :exec
insert into safety_pin (user_id, pin_hash, duress_hash) values (@user_id, @pin_hash, @duress_hash)
on conflict (user_id) do update set pin_hash = excluded.pin_hash, duress_hash = excluded.duress_hash, changed_at = now();

-- name: Subscribe :exec
-- A browser belongs to whoever used it last.
insert into push_subscription (endpoint, user_id, p256dh, auth, created_at)
values (@endpoint, @user_id, @p256dh, @auth, clock_timestamp())
on conflict (endpoint) do update
set user_id = excluded.user_id, p256dh = excluded.p256dh, auth = excluded.auth, created_at = excluded.created_at;

-- name: TrimSubscriptions :exec
delete from push_subscription where endpoint in (
    select s.endpoint from push_subscription s where s.user_id = @user_id order by s.created_at desc, s.endpoint offset @most::integer
);

-- name: Unsubscribe :exec
delete from push_subscription where endpoint = @endpoint and user_id = @user_id;

-- name: InsertAlert :one
insert into cap_alert (identifier, sender, sent, status, msg_type, reference, category, event, urgency, severity, certainty,
                       headline, description, instruction, area, expires, created_by)
values (@identifier, @sender, date_trunc('second', clock_timestamp()), @status, @msg_type, nullif(@reference::text, ''), @category, @event,
        @urgency, @severity, @certainty, @headline, @description, @instruction, @area, @expires, @created_by)
returning *;

-- name: Alert :one
select * from cap_alert where identifier = @identifier;

-- name: DeliverAlert :exec
-- The next line of the stream that everybody hears.
with next as (
    update safety_stream s set last_seq = s.last_seq + 1 where s.stream = @stream returning s.stream, s.last_seq
)
insert into safety_delivery (stream, seq, kind, alert, committed_at)
select next.stream, next.last_seq, 'MASS', @alert::text, clock_timestamp() from next;
