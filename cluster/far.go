package cluster

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"nexus"
)

// far is every actor of every other node, to the actor system of this one. None of its methods blocks.
type far struct{ link *link }

// SendUserMessage implements actor.Process.
func (f far) SendUserMessage(pid *actor.PID, message any) {
	_, m, sender := actor.UnwrapEnvelope(message)
	if _, bounced := m.(*actor.DeadLetterResponse); bounced {
		m, sender = &actor.DeadLetterResponse{}, nil // to whoever waits there; nobody waits for an answer to it
	}
	b, err := letter(pid, sender, m)
	if err != nil {
		f.link.log.Error("message cannot leave the node", "to", pid.GetId(), "err", err)
		f.link.refuse(sender, err)
		return
	}
	f.link.peer(pid.GetAddress()).send(parcel{frame: b, sender: sender})
}

// SendSystemMessage implements actor.Process.
func (f far) SendSystemMessage(pid *actor.PID, message any) {
	p := f.link.peer(pid.GetAddress())
	switch m := message.(type) {
	case *actor.Watch:
		p.watch(bond{watcher: m.Watcher.GetId(), watchee: pid.GetId()})
	case *actor.Unwatch:
		p.unwatch(bond{watcher: m.Watcher.GetId(), watchee: pid.GetId()})
	case *actor.Terminated:
		p.terminated(bond{watcher: pid.GetId(), watchee: m.Who.GetId()})
	default:
		f.link.log.Error("life-cycle message cannot leave the node", "type", fmt.Sprintf("%T", m), "to", pid.GetId())
	}
}

// Stop implements actor.Process: nobody stops another node's actors from here.
func (f far) Stop(pid *actor.PID) {
	f.link.log.Error("an actor of another node was to be stopped", "pid", pid.GetId())
}

// bond says that an actor of one node wants to hear of the end of an actor of another. Which is which depends on where
// it is kept.
type bond struct{ watcher, watchee string }

func bondOf(n *Notice) bond { return bond{n.GetWatcher(), n.GetWatchee()} }

func (w bond) notice() *Notice { return &Notice{Watcher: w.watcher, Watchee: w.watchee} }

// letter is a message for an actor of another node as it stands on the connection.
func letter(to, sender *actor.PID, message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no message between nodes", message)
	}
	d := &Deliver{Target: to.GetId(), Message: &anypb.Any{}}
	if sender != nil {
		d.Sender = &Actor{Address: sender.GetAddress(), Id: sender.GetId()}
	}
	if err := anypb.MarshalFrom(d.Message, m, proto.MarshalOptions{}); err != nil {
		return nil, fmt.Errorf("marshal %T: %w", m, err)
	}
	b := frame(&Parcel{Body: &Parcel_Deliver{Deliver: d}})
	if len(b) > maxParcel {
		return nil, nexus.Errorf(nexus.TooLarge, "%T of %d bytes", m, len(b))
	}
	return b, nil
}

// frame is a message as it stands on a connection. Only texts that are not UTF-8 cannot be marshalled, and there are
// none in what this package makes.
func frame(m proto.Message) []byte {
	size := proto.Size(m)
	b := protowire.AppendVarint(make([]byte, 0, binary.MaxVarintLen32+size), uint64(size)) // as protodelim reads it
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, m)
	if err != nil {
		panic(fmt.Sprintf("marshal %T: %v", m, err))
	}
	return b
}

// beat shows that a connection lives. It is made at its first use: the package's messages are not ready before.
var beat = sync.OnceValue(func() []byte { return frame(&Parcel{Body: &Parcel_Beat{Beat: &Beat{}}}) })
