package mess

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"nexus"
	"nexus/actors/grain"
)

// Client speaks to the halls' grains, wherever they live. Its errors are those of grain.Ask, and
// nexus.NotFound for a hall that does not exist.
type Client struct {
	dir grain.Directory
}

// NewClient returns a client that reaches grains through dir.
func NewClient(dir grain.Directory) Client { return Client{dir: dir} }

func ref(id nexus.HallID) grain.Ref { return grain.Ref{Kind: KindName, ID: string(id)} }

// CheckIn counts the events, which are durable when it returns. Copies count once.
func (c Client) CheckIn(ctx context.Context, id nexus.HallID, events []nexus.CrowdEvent) (nexus.CheckInResult, error) {
	answer, err := grain.Ask[*CheckedIn](ctx, c.dir, ref(id), &CheckIn{Events: eventsTo(events)})
	if err != nil {
		return nexus.CheckInResult{}, err
	}
	return nexus.CheckInResult{Accepted: int(answer.GetAccepted()), Duplicates: int(answer.GetDuplicates()), Crowd: crowdFrom(answer.GetLive())}, nil
}

// Live returns how full the hall is now.
func (c Client) Live(ctx context.Context, id nexus.HallID) (nexus.Crowd, error) {
	answer, err := grain.Ask[*Crowd](ctx, c.dir, ref(id), &Look{})
	if err != nil {
		return nexus.Crowd{}, err
	}
	return crowdFrom(answer), nil
}

// Report counts a staff member's own view of the hall: level in per cent, and the wait in
// minutes if it is not below 0. The count is durable when it returns; the wait is a word for the
// next minutes, and may be lost with the node.
func (c Client) Report(ctx context.Context, _ nexus.UserID, id nexus.HallID, level, waitMinutes int) (nexus.Crowd, error) {
	answer, err := grain.Ask[*Crowd](ctx, c.dir, ref(id), &Report{
		EventId: nexus.NewID(), At: timestamppb.New(time.Now()), Level: int32(level), WaitMinutes: int32(waitMinutes),
	})
	if err != nil {
		return nexus.Crowd{}, err
	}
	return crowdFrom(answer), nil
}

// Reconfigure tells the hall that its configuration has changed.
func (c Client) Reconfigure(ctx context.Context, id nexus.HallID) error {
	_, err := grain.Ask[*grain.Done](ctx, c.dir, ref(id), &Reconfigure{})
	return err
}

func eventsTo(events []nexus.CrowdEvent) []*CrowdEvent {
	out := make([]*CrowdEvent, len(events))
	for i, e := range events {
		p := &CrowdEvent{Source: e.Source, EventId: e.EventID, At: timestamppb.New(e.At)}
		if e.Absolute != nil {
			p.Report = &CrowdEvent_Absolute{Absolute: int32(*e.Absolute)}
		} else {
			p.Report = &CrowdEvent_Delta{Delta: int32(*e.Delta)}
		}
		out[i] = p
	}
	return out
}

func eventsFrom(events []*CrowdEvent) []nexus.CrowdEvent {
	out := make([]nexus.CrowdEvent, len(events))
	for i, p := range events {
		e := nexus.CrowdEvent{Source: p.GetSource(), EventID: p.GetEventId(), At: p.GetAt().AsTime()}
		if a, ok := p.GetReport().(*CrowdEvent_Absolute); ok {
			n := int(a.Absolute)
			e.Absolute = &n
		} else {
			n := int(p.GetDelta())
			e.Delta = &n
		}
		out[i] = e
	}
	return out
}

func crowdTo(c nexus.Crowd) *Crowd {
	p := &Crowd{
		HallId: string(c.HallID), Occupancy: int32(c.Occupancy), Capacity: int32(c.Capacity), Level: int32(c.Level), Status: c.Status,
		WaitMinutes: int32(c.WaitMinutes), WaitTime: c.WaitTime, Stale: c.Stale, Source: c.Source,
	}
	if !c.AsOf.IsZero() {
		p.AsOf = timestamppb.New(c.AsOf)
	}
	return p
}

func crowdFrom(p *Crowd) nexus.Crowd {
	c := nexus.Crowd{
		HallID: nexus.HallID(p.GetHallId()), Occupancy: int(p.GetOccupancy()), Capacity: int(p.GetCapacity()), Level: int(p.GetLevel()), Status: p.GetStatus(),
		WaitMinutes: int(p.GetWaitMinutes()), WaitTime: p.GetWaitTime(), Stale: p.GetStale(), Source: p.GetSource(),
	}
	if p.GetAsOf() != nil {
		c.AsOf = p.GetAsOf().AsTime()
	}
	return c
}
