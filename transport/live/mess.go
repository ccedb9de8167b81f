package live

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"nexus"
	"nexus/actors/mess"
	"nexus/transport/socketio"
)

// messNamespace is what /mess does beyond the common: who hears which hall.
type messNamespace struct {
	halls *catalog
	hub   *Hub
}

// joined lets a client hear the default hall until it subscribes, from its newest tick on.
func (m *messNamespace) joined(ctx context.Context, p *peer) error {
	halls, err := m.halls.list(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(halls, func(h nexus.Hall) bool { return h.Default })
	if i < 0 {
		return nil
	}
	return m.hub.subscribeAndOffer(p, []string{mess.Topic(halls[i].ID)})
}

// subscribe replaces the halls that a client hears: subscribe {halls: [id or "*"]}, answered with {snapshots}:
// the last CROWD_UPDATE of each, as far as this node has heard one. Ids may be in any case, as over HTTP.
func (m *messNamespace) subscribe(ctx context.Context, p *peer, e socketio.Event) (any, error) {
	var in struct {
		Halls []string `json:"halls"`
	}
	if err := e.Args.Decode(0, &in); err != nil || in.Halls == nil {
		return nil, nexus.InvalidField("halls", `must be a list of hall ids, or of "*" for all`)
	}
	if len(in.Halls) > maxTopics {
		return nil, nexus.InvalidField("halls", "at most %d halls", maxTopics)
	}
	topics, err := m.topics(ctx, in.Halls)
	if err != nil {
		return nil, err
	}
	latest, err := m.hub.subscribe(p, topics)
	if err != nil {
		return nil, err
	}
	return struct {
		Snapshots []json.RawMessage `json:"snapshots"`
	}{latest}, nil
}

func (m *messNamespace) topics(ctx context.Context, ids []string) ([]string, error) {
	if slices.Contains(ids, "*") {
		return []string{mess.Topic("*")}, nil
	}
	halls, err := m.halls.list(ctx)
	if err != nil {
		return nil, err
	}
	var topics []string
	for i, id := range ids {
		id = strings.ToLower(strings.TrimSpace(id))
		if !slices.ContainsFunc(halls, func(h nexus.Hall) bool { return string(h.ID) == id }) {
			return nil, nexus.InvalidField(fmt.Sprintf("halls[%d]", i), "is not a mess hall")
		}
		topics = append(topics, mess.Topic(nexus.HallID(id)))
	}
	slices.Sort(topics)
	return slices.Compact(topics), nil // who names a hall twice hears it once
}
