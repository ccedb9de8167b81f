package mess

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// encode returns the state as it is kept; the hall's configuration is kept elsewhere.
func (s *State) encode(sampled int64) ([]byte, error) {
	p := &Snapshot{
		Seq:           s.Seq,
		Source:        s.Source,
		Count:         &Count{At: s.count.at, People: int32(s.count.people), Key: s.count.key},
		SampledMinute: sampled,
		Settled:       s.settled,
	}
	if !s.AsOf.IsZero() {
		p.AsOf = timestamppb.New(s.AsOf)
	}
	if !s.stated.until.IsZero() {
		p.Stated = &Stated{Minutes: int32(s.stated.minutes), Until: s.stated.until.UnixMicro()}
	}
	for _, c := range s.changes {
		p.Changes = append(p.Changes, &Change{At: c.at, In: int32(c.in), Out: int32(c.out)})
	}
	return proto.Marshal(p)
}

// decode restores what encode returned. No bytes are the state of a hall that never heard of anybody.
func (s *State) decode(b []byte) (sampled int64, err error) {
	var p Snapshot
	if err := proto.Unmarshal(b, &p); err != nil {
		return 0, fmt.Errorf("decode snapshot: %w", err)
	}
	s.Seq, s.Source, s.settled = p.GetSeq(), p.GetSource(), p.GetSettled()
	if p.GetAsOf() != nil {
		s.AsOf = p.GetAsOf().AsTime()
	}
	if c := p.GetCount(); c != nil {
		s.count = count{at: c.GetAt(), people: int(c.GetPeople()), key: c.GetKey()}
	}
	if st := p.GetStated(); st != nil {
		s.stated = stated{minutes: int(st.GetMinutes()), until: time.UnixMicro(st.GetUntil()).UTC()}
	}
	s.changes = nil
	for _, c := range p.GetChanges() {
		s.changes = append(s.changes, change{at: c.GetAt(), in: int(c.GetIn()), out: int(c.GetOut())})
	}
	return p.GetSampledMinute(), nil
}
