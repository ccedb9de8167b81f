package scenario

import (
	"fmt"
	"syscall"
	"time"

	"nexus/cmd/nexus-chaos/client"
	"nexus/cmd/nexus-chaos/stage"
)

// small is a crowd for a test, on two cores that others use too.
var small = client.Size{
	GatesPerHall: 2, GateEvery: 250 * time.Millisecond, Readers: 4, ReadEvery: 100 * time.Millisecond, Sockets: 20, Listeners: 4, People: 1,
}

// pressed is the size with a few who press the button.
func pressed(size client.Size) client.Size {
	size.Students, size.PressEvery = 6, time.Second
	return size
}

// large is about 200 requests a second, and a few alarms.
var large = client.Size{
	GatesPerHall: 4, GateEvery: 360 * time.Millisecond, Readers: 6, ReadEvery: 100 * time.Millisecond, Sockets: 100, Listeners: 6, People: 3,
	Students: 10, PressEvery: 2 * time.Second,
}

// rolled is large with all its sockets, and all through the balancer.
func rolled(sockets int) client.Size {
	size := large
	size.Sockets, size.Balanced = sockets, true
	return size
}

// Short is what fits into a test: no namespaces, no balancer needed. It judges what is kept as strictly as Long, and is patient with the rest.
func Short() []Scenario {
	return patient(
		Scenario{Name: "calm", Faults: "none", Size: small, Silence: 2 * time.Second, OneRetry: true, Act: quiet(4 * time.Second)},
		Scenario{Name: "kill", Faults: "kill -9 of a node", Size: pressed(small), Silence: 8 * time.Second, Act: kills(1)},
		Scenario{Name: "seats", Faults: "200 students race for 20 seats and then give them back, and each time the node that gives them out is killed", Size: small, Silence: 8 * time.Second, Act: seats(200, 20)},
		Scenario{Name: "term", Faults: "SIGTERM to a node, and back", Size: pressed(balanced(small)), Silence: 5 * time.Second, OneRetry: true, Act: roll(1)},
		Scenario{Name: "stop", Faults: "SIGSTOP of a node for 6 s", Size: pressed(small), Silence: 12 * time.Second, Loose: true, Act: freeze(1, 6*time.Second)},
		Scenario{Name: "split", Faults: "a node that does not see the others, 5 s", Size: small, Loose: true, Act: split(5 * time.Second)},
	)
}

func patient(list ...Scenario) []Scenario {
	for i := range list {
		list[i].Patient = true
	}
	return list
}

// Unfenced is the trial that must fail: two campuses over one database without fences. It spoils its stage.
func Unfenced() Scenario {
	return Scenario{Name: "no-fence", Faults: "fencing off; a node that does not see the others, 5 s", Size: small, Loose: true, Patient: true, Unfenced: true, Act: split(5 * time.Second)}
}

// Long is everything, with so many sockets in the rolling restart.
func Long(sockets int) []Scenario {
	return []Scenario{
		{Name: "calm", Faults: "none", Size: large, Silence: 2 * time.Second, OneRetry: true, Act: quiet(10 * time.Second)},
		{Name: "kill", Faults: "kill -9 of each node in turn, ten times", Size: large, Silence: 8 * time.Second, Act: kills(10)},
		{Name: "seats", Faults: "1,000 students race for 30 seats and then give them back, and each time the node that gives them out is killed", Size: small, Silence: 8 * time.Second, Act: seats(1000, 30)},
		{Name: "stop", Faults: "SIGSTOP of a node for 10 s", Size: large, Silence: 16 * time.Second, Loose: true, Act: freeze(1, 10*time.Second)},
		{Name: "roll", Faults: "SIGTERM to each node in turn, through the balancer", Size: rolled(sockets), Silence: 3 * time.Second, OneRetry: true, Act: roll(3), Needs: balancer},
		{Name: "postgres", Faults: "PostgreSQL stopped at once and killed, down 30 s each", Size: large, Silence: 3 * time.Second, Act: databaseDies(30*time.Second, syscall.SIGQUIT, syscall.SIGKILL)},
		{Name: "far", Faults: "one node's way to PostgreSQL delayed, reset and refused", Size: large, Silence: 4 * time.Second, Act: databaseFarAway},
		{Name: "redis", Faults: "Redis killed, back, frozen, back", Size: large, Silence: 3 * time.Second, Redis: true, Act: redisDies, Needs: func(s *stage.Stage) string { return s.NoRedis }},
		{Name: "split", Faults: "a node that does not see the others, 10 s", Size: large, Loose: true, Act: split(10 * time.Second)},
		{
			Name: "partition", Faults: "one node cut off from two for 20 s", Size: large, Silence: 8 * time.Second, Loose: true, Needs: spaces,
			Act: cut(lastFromOthers, 20*time.Second, (*stage.Spaces).Cut, (*stage.Spaces).Heal),
		},
		{
			Name: "one-way", Faults: "what one node sends to the others is dropped for 20 s", Size: large, Silence: 8 * time.Second, Loose: true, Needs: spaces,
			Act: cut(lastSpeaksNot, 20*time.Second, (*stage.Spaces).Cut, (*stage.Spaces).Heal),
		},
		{
			Name: "loss", Faults: "20% of the frames between nodes lost for 20 s", Size: large, Silence: 8 * time.Second, Loose: true, Needs: spaces,
			Act: cut(all, 20*time.Second, (*stage.Spaces).Lose, (*stage.Spaces).Keep),
		},
		{Name: "next", Faults: "a node of the next version joins, sends what the others do not know, and leaves", Size: large, Silence: 3 * time.Second, OneRetry: true, Act: newer(10 * time.Second)},
		{Name: "eight", Faults: "eight more nodes join at once and leave at once", Size: large, Silence: 8 * time.Second, Act: crowded},
		{
			Name: "ten-thousand", Faults: fmt.Sprintf("a node leaves and comes back, then eight more join at once and leave at once, with %d more live grains", Grains),
			Size: small, Silence: 12 * time.Second, Grains: true, Act: handOvers,
		},
	}
}

// balanced is the size with nobody going past the balancer.
func balanced(size client.Size) client.Size {
	size.Balanced = true
	return size
}

func spaces(s *stage.Stage) string {
	if s.Spaces == nil {
		return "no network namespaces here"
	}
	return ""
}

func balancer(s *stage.Stage) string {
	if s.Balancer == nil {
		return "no balancer here"
	}
	return ""
}
