-- name: TakePages :many
-- Pages that are due, leased to whoever took them; another node may try again after that. One whose incident a human answered after it was asked for,
-- or that is over, is dropped, and so is one to a browser that was forgotten.
with due as (
    select p.id, i.closed_at is not null or coalesce(i.acked_at > e.at, false)
           or p.channel = 'push' and not exists (select from push_subscription b where b.endpoint = p.address) as over
    from safety_page p
    join sos_incident i on i.id = p.incident_id
    join sos_event e on e.incident_id = p.incident_id and e.seq = p.event_seq
    where p.channel = @channel and p.state = 'pending' and p.next_at <= clock_timestamp()
    order by p.next_at
    limit @most
    for update of p skip locked
), taken as (
    update safety_page p
    set state = case when due.over then 'dropped' else 'pending' end,
        attempts = p.attempts + case when due.over then 0 else 1 end,
        next_at = clock_timestamp() + make_interval(secs => @lease_seconds::double precision)
    from due where p.id = due.id
    returning p.id, p.channel, p.address, p.attempts, p.event_seq, p.incident_id, due.over
)
select t.id, t.channel, t.address, t.attempts, t.event_seq, sqlc.embed(v), coalesce(f.full_name, '')::text as full_name,
       coalesce(b.p256dh, '')::text as p256dh, coalesce(b.auth, '')::text as auth
from taken t
join sos_view v on v.id = t.incident_id
left join profile f on f.user_id = v.user_id
left join push_subscription b on t.channel = 'push' and b.endpoint = t.address
where not t.over
order by t.id;

-- name: PageSent :exec
update safety_page set state = 'sent', sent_at = clock_timestamp(), last_error = '' where id = @id and state in ('pending', 'dropped');

-- name: PageFailed :exec
-- It is tried again after a while, or, if that is null, never.
update safety_page
set state = case when sqlc.narg('again_seconds')::double precision is null then 'failed' else 'pending' end,
    next_at = clock_timestamp() + make_interval(secs => coalesce(sqlc.narg('again_seconds')::double precision, 0)),
    last_error = @last_error
where id = @id and state = 'pending';

-- name: ForgetSubscription :exec
-- Unless the browser has subscribed anew meanwhile.
delete from push_subscription where endpoint = @endpoint and p256dh = @p256dh and auth = @auth;
