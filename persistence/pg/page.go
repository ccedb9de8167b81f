package pg

import "nexus"

// Bounds of a page of any list.
const (
	defaultLimit = 50
	maxLimit     = 200
)

// limitOf is how many items a page holds.
func limitOf(p nexus.Page) int32 {
	if p.Limit <= 0 {
		return defaultLimit
	}
	return int32(min(p.Limit, maxLimit))
}

// pageOf makes a page of rows, of which one more than limit was asked for: whether it is there says
// whether there is a next page. Items is never nil.
func pageOf[R, T any](rows []R, limit int32, item func(R) T, cursor func(T) string) nexus.List[T] {
	list := nexus.List[T]{Items: make([]T, 0, min(len(rows), int(limit)))}
	for i, r := range rows {
		if i == int(limit) {
			list.Next = cursor(list.Items[i-1])
			break
		}
		list.Items = append(list.Items, item(r))
	}
	return list
}

// lastID is above every id: lists that show the newest first begin there.
const lastID = "ffffffff-ffff-ffff-ffff-ffffffffffff"

// before is the cursor of a list that shows the newest first.
func before(p nexus.Page) (string, error) {
	if p.After == "" {
		return lastID, nil
	}
	if !nexus.ValidID(p.After) {
		return "", nexus.InvalidField("after", "is no cursor of this list")
	}
	return p.After, nil
}

// stale fails unless the caller's version is the present one, or 0, which is any.
func stale(want, have int64) error {
	if want != 0 && want != have {
		return nexus.Errorf(nexus.Stale, "version %d is not the present one, which is %d", want, have)
	}
	return nil
}
