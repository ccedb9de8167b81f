package pg

import (
	"context"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// maxContacts is how many emergency contacts a person may name.
const maxContacts = 20

// Profile returns a person's profile. NotFound if there is none.
func (s *Identity) Profile(ctx context.Context, id nexus.UserID) (nexus.Profile, error) {
	var p nexus.Profile
	err := s.db.do(ctx, "read profile", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		p, err = profile(ctx, q, id)
		return err
	})
	return p, err
}

// ChangeProfile applies the change. An empty DOB makes it unknown.
func (s *Identity) ChangeProfile(ctx context.Context, by nexus.Caller, id nexus.UserID, version int64, c nexus.ProfileChange) (nexus.Profile, error) {
	return mutate(ctx, s.db, "change profile", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Profile, error) {
		if c.DOB != nil && *c.DOB != "" {
			if err := date("dob", *c.DOB); err != nil {
				return nexus.Profile{}, err
			}
		}
		before, err := lockedProfile(ctx, q, id)
		if err != nil {
			return nexus.Profile{}, err
		}
		if err := stale(version, before.Version); err != nil {
			return nexus.Profile{}, err
		}
		err = q.ChangeProfile(ctx, sqlcgen.ChangeProfileParams{
			UserID: string(id), Phone: c.Phone, Address: c.Address, Bio: c.Bio, Dob: c.DOB, Locale: c.Locale, Tz: c.TZ,
		})
		if err != nil {
			return nexus.Profile{}, err
		}
		after, err := profile(ctx, q, id)
		if err != nil {
			return nexus.Profile{}, err
		}
		return after, audit(ctx, q, by, "profile.change", "user", string(id), before, after)
	})
}

// SetAvatar keeps a picture under a URL of its own, in place of the one before. The account's version moves as
// well, for others see the picture there.
func (s *Identity) SetAvatar(ctx context.Context, by nexus.Caller, id nexus.UserID, url string, jpeg []byte) error {
	_, err := mutate(ctx, s.db, "set avatar", by, func(ctx context.Context, q *sqlcgen.Queries) (none struct{}, err error) {
		if _, err := q.LockUser(ctx, string(id)); err != nil {
			return none, orNotFound(err, "account")
		}
		before, err := lockedProfile(ctx, q, id)
		if err != nil {
			return none, err
		}
		if err := q.KeepAvatar(ctx, url, string(id), jpeg); err != nil {
			return none, err
		}
		if err := q.SetAvatar(ctx, url, string(id)); err != nil {
			return none, err
		}
		if err := q.TouchUser(ctx, sqlcgen.TouchUserParams{ID: string(id)}); err != nil {
			return none, err
		}
		return none, audit(ctx, q, by, "profile.avatar", "user", string(id), before.AvatarURL, url)
	})
	return err
}

// Avatar returns the picture kept under a URL. NotFound if there is none, or no longer.
func (s *Identity) Avatar(ctx context.Context, url string) (jpeg []byte, err error) {
	err = s.db.do(ctx, "read avatar", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if jpeg, err = q.Avatar(ctx, url); err != nil {
			return orNotFound(err, "picture")
		}
		return nil
	})
	return jpeg, err
}

// Contacts returns the emergency contacts in order of rank, none for an unknown person.
func (s *Identity) Contacts(ctx context.Context, id nexus.UserID) ([]nexus.Contact, error) {
	var cs []nexus.Contact
	err := s.db.do(ctx, "read contacts", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		cs, err = contacts(ctx, q, id)
		return err
	})
	return cs, err
}

// SetContacts replaces the emergency contacts, at most 20. NotFound for an unknown person.
func (s *Identity) SetContacts(ctx context.Context, by nexus.Caller, id nexus.UserID, cs []nexus.Contact) error {
	_, err := mutate(ctx, s.db, "set contacts", by, func(ctx context.Context, q *sqlcgen.Queries) (struct{}, error) {
		var done struct{}
		if len(cs) > maxContacts {
			return done, nexus.InvalidField("contacts", "are at most %d", maxContacts)
		}
		if _, err := lockedProfile(ctx, q, id); err != nil {
			return done, err
		}
		before, err := contacts(ctx, q, id)
		if err != nil {
			return done, err
		}
		if err := q.DeleteContacts(ctx, string(id)); err != nil {
			return done, err
		}
		p := sqlcgen.InsertContactsParams{UserID: string(id)}
		for i, c := range cs {
			p.Ranks, p.Names = append(p.Ranks, int16(i+1)), append(p.Names, c.Name)
			p.Channels, p.Addresses = append(p.Channels, c.Channel), append(p.Addresses, c.Address)
		}
		if err := q.InsertContacts(ctx, p); err != nil {
			return done, err
		}
		return done, audit(ctx, q, by, "profile.contacts", "user", string(id), before, cs)
	})
	return err
}

func contacts(ctx context.Context, q *sqlcgen.Queries, id nexus.UserID) ([]nexus.Contact, error) {
	rows, err := q.Contacts(ctx, string(id))
	cs := make([]nexus.Contact, len(rows))
	for i, r := range rows {
		cs[i] = nexus.Contact(r)
	}
	return cs, err
}

// lockedProfile reads the profile and keeps others from changing it until the transaction ends.
func lockedProfile(ctx context.Context, q *sqlcgen.Queries, id nexus.UserID) (nexus.Profile, error) {
	if _, err := q.LockProfile(ctx, string(id)); err != nil {
		return nexus.Profile{}, orNotFound(err, "profile")
	}
	return profile(ctx, q, id)
}

func profile(ctx context.Context, q *sqlcgen.Queries, id nexus.UserID) (nexus.Profile, error) {
	r, err := q.Profile(ctx, string(id))
	if err != nil {
		return nexus.Profile{}, orNotFound(err, "profile")
	}
	return nexus.Profile{
		UserID: nexus.UserID(r.UserID), Name: r.FullName, Phone: r.Phone, Address: r.Address, Bio: r.Bio, DOB: r.Dob,
		AvatarURL: r.AvatarUrl, Hostel: r.Hostel, Room: r.Room, Warden: r.Warden, Department: r.Department,
		Course: r.Course, Semester: int(r.Semester), Locale: r.Locale, TZ: r.Tz, Version: r.Version,
	}, nil
}
