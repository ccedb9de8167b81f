package check

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nexus/cmd/nexus-chaos/history"
)

// People checks ratings, profile edits and logins against the tables.
func People(ctx context.Context, db *pgxpool.Pool, ops []history.Op) ([]Result, error) {
	var results []Result
	for _, look := range []func(context.Context, *pgxpool.Pool, []history.Op) (Result, error){ratings, edits} {
		r, err := look(ctx, db, ops)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return append(results, logins(ops)...), nil
}

func kind(ops []history.Op, kind string) (found []history.Op) {
	for _, o := range ops {
		if o.Kind == kind {
			found = append(found, o)
		}
	}
	return found
}

// ratings: each student has one rating of a menu, the last one that was acknowledged, or a later one that may have
// happened. A student rates one after the other.
func ratings(ctx context.Context, db *pgxpool.Pool, ops []history.Op) (Result, error) {
	rows, err := db.Query(ctx, `select split_part(u.email, '@', 1) || ' ' || r.menu_id, r.stars::int from mess_rating r join app_user u on u.id = r.user_id`)
	if err != nil {
		return Result{}, err
	}
	stored, times := make(map[string]int), make(map[string]int)
	var who string
	var stars int
	if _, err := pgx.ForEachRow(rows, []any{&who, &stars}, func() error { stored[who] = stars; times[who]++; return nil }); err != nil {
		return Result{}, err
	}
	possible := make(map[string]map[int]bool)
	all := kind(ops, history.Rate)
	var wrong []string
	for _, o := range all {
		key := o.Client + " " + o.Key
		switch o.Outcome {
		case history.OK:
			possible[key] = map[int]bool{o.Value: true}
		case history.Unknown:
			if possible[key] == nil {
				possible[key] = map[int]bool{stored[key]: true} // what was there before is not known here
			}
			possible[key][o.Value] = true
		case history.Failed:
			wrong = append(wrong, fmt.Sprintf("%s was refused: %v", key, o.Troubles))
		}
	}
	for key, values := range possible {
		if !values[stored[key]] || times[key] > 1 {
			wrong = append(wrong, fmt.Sprintf("%s: %d stored %d times, could be %v", key, stored[key], times[key], values))
		}
	}
	return none("ratings lost, doubled or refused", len(all), wrong), nil
}

// edits: no two that were acknowledged made the same version, and the profile holds the one that made the last, or one
// that may have happened later.
func edits(ctx context.Context, db *pgxpool.Pool, ops []history.Op) (Result, error) {
	all := kind(ops, history.Edit)
	made := make(map[string]history.Op) // by student and version
	last := make(map[string]history.Op)
	maybe := make(map[string]bool)
	var wrong []string
	for _, o := range all {
		switch o.Outcome {
		case history.OK:
			key := fmt.Sprintf("%s %d", o.Key, o.Value)
			if other, twice := made[key]; twice {
				wrong = append(wrong, fmt.Sprintf("%s was made by %q and by %q", key, other.Event, o.Event))
			}
			made[key] = o
			if o.Value > last[o.Key].Value {
				last[o.Key] = o
			}
		case history.Unknown:
			maybe[o.Event] = true
		case history.Failed: // a stale ETag: the other device was faster
		}
	}
	for student, o := range last {
		var bio string
		var version int
		err := db.QueryRow(ctx, `select p.bio, p.version from profile p join app_user u on u.id = p.user_id where u.email = $1`, student+"@demo.nexus").Scan(&bio, &version)
		if err != nil {
			return Result{}, err
		}
		if (bio != o.Event || version != o.Value) && !maybe[bio] {
			wrong = append(wrong, fmt.Sprintf("%s: version %d %q is stored, version %d %q was acknowledged last", student, version, bio, o.Value, o.Event))
		}
	}
	return none("profile edits lost or made twice", len(made), wrong), nil
}

// logins: a login is never refused. A renewal that was not answered may have used its token up, and its repetition then
// ends the login, which is a figure.
func logins(ops []history.Op) []Result {
	var refused, lost []string
	for _, o := range ops {
		line := fmt.Sprintf("%s at %v: %v", o.Client, time.Duration(o.Call).Round(time.Millisecond), o.Troubles)
		switch {
		case o.Outcome != history.Failed:
		case o.Kind == history.Login, o.Kind == history.Refresh && o.Attempts == 1:
			refused = append(refused, line)
		case o.Kind == history.Refresh:
			lost = append(lost, line)
		}
	}
	note := Note("logins ended because a renewal had to be repeated", "%d", len(lost))
	note.Detail = lost[:min(len(lost), 3)]
	return []Result{none("logins and renewals refused at the first attempt", len(kind(ops, history.Login))+len(kind(ops, history.Refresh)), refused), note}
}
