package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"nexus"
)

// Runner is a client. It runs until ctx ends; what is under way then it may finish until giveUp ends.
type Runner interface {
	Run(ctx, giveUp context.Context)
}

// Size says how large a crowd is.
type Size struct {
	GatesPerHall int           // half of them scattered over the nodes
	GateEvery    time.Duration // between two events of a gate
	Readers      int           // half of them scattered
	ReadEvery    time.Duration
	Sockets      int // that hear the default hall
	Listeners    int // sockets that hear all halls and record each tick
	People       int // raters, editors and visitors, so many of each
	Students     int // who press the button, up to 30; three officers answer if there are any
	PressEvery   time.Duration
	Balanced     bool // nobody goes past the balancer
}

// Crowd is all clients of a trial.
type Crowd struct {
	Sockets []*Socket
	Radios  []*Radio // of officers and students, on /security

	web     *Web
	runners []Runner
	stop    context.CancelFunc
	giveUp  context.CancelFunc
	running sync.WaitGroup
	heard   chan struct{} // one for each socket that has heard its first tick

	silence   context.CancelFunc // ends the radios
	listening sync.WaitGroup
}

// Cast is who the clients are: what a crowd of any size is made from.
type Cast struct {
	Halls []nexus.HallID
	Keys  Keys
	Menus []string
	Tag   string           // that begins the name of every client and event
	Heads map[string]int64 // how far the streams of all have come, by the name of the account
}

// Gather makes a crowd, logged in and at rest.
func Gather(ctx context.Context, w *Web, cast Cast, size Size) (*Crowd, error) {
	c := &Crowd{web: w, heard: make(chan struct{}, size.Sockets+size.Listeners)}
	for i, hall := range cast.Halls {
		for j := range size.GatesPerHall {
			c.runners = append(c.runners, &Gate{
				Web: w, Name: fmt.Sprintf("%s-gate-%d-%d", cast.Tag, i, j), Key: cast.Keys.Next(), Hall: hall,
				Scattered: !size.Balanced && j%2 == 1, Every: size.GateEvery,
			})
		}
	}
	for i := range size.Readers {
		c.runners = append(c.runners, &Reader{
			Web: w, Name: fmt.Sprintf("%s-reader-%d", cast.Tag, i), Halls: cast.Halls, Scattered: !size.Balanced && i%2 == 1, Every: size.ReadEvery,
		})
	}
	for i := range size.People {
		if err := c.addPeople(ctx, cast, i); err != nil {
			return nil, err
		}
	}
	if err := c.addSafety(ctx, cast, size); err != nil {
		return nil, err
	}
	for i := range size.Sockets + size.Listeners {
		s := &Socket{Web: w, Name: fmt.Sprintf("%s-socket-%d", cast.Tag, i), All: i < size.Listeners, ready: func() { c.heard <- struct{}{} }}
		c.Sockets = append(c.Sockets, s)
	}
	return c, nil
}

// addPeople adds a rater, two devices that edit one profile, and a visitor, all students of their own.
func (c *Crowd) addPeople(ctx context.Context, cast Cast, i int) error {
	name := func(n int) string { return fmt.Sprintf("student%d", 3*i+n+1) }
	rater, err := c.web.Login(ctx, name(0))
	if err != nil {
		return err
	}
	editor, err := c.web.Login(ctx, name(1))
	if err != nil {
		return err
	}
	c.runners = append(c.runners, &Rater{Web: c.web, Student: name(0), Header: rater, Menus: cast.Menus, Every: 500 * time.Millisecond})
	for device := range 2 {
		c.runners = append(c.runners, &Editor{
			Web: c.web, Name: fmt.Sprintf("%s-editor-%d-%d", cast.Tag, i, device), Student: name(1), Header: editor, Every: 500 * time.Millisecond,
		})
	}
	c.runners = append(c.runners, &Visitor{Web: c.web, Student: name(2), Every: time.Second})
	return nil
}

// Start sets the crowd going, and returns when every socket has heard a tick or ctx ends. Sockets connect a few at a time.
func (c *Crowd) Start(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	giveUp, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.stop, c.giveUp = stop, cancel
	listening, silence := context.WithCancel(context.WithoutCancel(ctx))
	c.silence = silence
	for _, r := range c.Radios {
		c.listening.Go(func() { r.Run(listening) })
	}
	for i, s := range c.Sockets {
		if i%20 == 19 {
			sleep(ctx, 20*time.Millisecond)
		}
		c.running.Go(func() { s.Run(running, giveUp) })
	}
	for range c.Sockets {
		select {
		case <-c.heard:
		case <-ctx.Done():
			c.Stop(0)
			c.Hush()
			return fmt.Errorf("not every socket has heard a tick: %w", ctx.Err())
		}
	}
	for _, r := range c.runners {
		c.running.Go(func() { r.Run(running, giveUp) })
	}
	return nil
}

// Stop has the clients end but for the radios, which go on listening, and gives those whose last request is not answered yet the limit for it.
func (c *Crowd) Stop(limit time.Duration) {
	c.stop()
	t := time.AfterFunc(limit, c.giveUp)
	defer t.Stop()
	c.running.Wait()
	c.giveUp()
}

// Hush has the radios end. A second call does nothing.
func (c *Crowd) Hush() {
	c.silence()
	c.listening.Wait()
}
