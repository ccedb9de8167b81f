package demo

import (
	"cmp"
	"context"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// served is a menu of a demo hall that is over and that nobody has rated.
type served struct {
	id     string
	key    string // hall, date and meal: what its opinions are drawn from
	opens  time.Time
	closes time.Time
	dishes []string
}

// ratings lets students rate the menus that are over. A menu that has a rating is left alone.
func (s seeder) ratings(ctx context.Context) (int64, error) {
	menus, err := s.unrated(ctx)
	if err != nil || len(menus) == 0 {
		return 0, err
	}
	var menuIDs, emails, comments []string
	var stars []int
	var at []time.Time
	liked := likings()
	for _, m := range menus {
		for _, o := range opinions(m, liked, s.now) {
			menuIDs, emails, comments = append(menuIDs, m.id), append(emails, o.email), append(comments, o.comment)
			stars, at = append(stars, o.stars), append(at, o.at)
		}
	}
	return s.insert(ctx, `
insert into mess_rating (menu_id, user_id, stars, comment, created_at, updated_at)
select i.menu_id, u.id, i.stars, i.comment, i.at, i.at
from unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::timestamptz[]) as i(menu_id, email, stars, comment, at)
join app_user u on lower(u.email) = i.email
on conflict do nothing`, menuIDs, emails, stars, comments, at)
}

// unrated lists the menus of the past week in the demo halls that have no rating.
func (s seeder) unrated(ctx context.Context) ([]served, error) {
	rows, err := s.tx.Query(ctx, `
select m.id::text, h.name || ' ' || m.serve_date || ' ' || m.meal, m.opens_at, m.closes_at,
       array(select d.name from mess_menu_item i join dish d on d.id = i.dish_id where i.menu_id = m.id order by i.position)
from mess_menu m join mess_hall h on h.id = m.hall_id
where lower(h.name) = any ($1) and m.closes_at <= $2 and m.closes_at > $2 - make_interval(days => $3)
  and not exists (select from mess_rating r where r.menu_id = m.id)
order by m.opens_at, h.name`, each(demoHalls, func(h hall) string { return strings.ToLower(h.name) }), s.now, daysBack+2)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (m served, err error) {
		err = r.Scan(&m.id, &m.key, &m.opens, &m.closes, &m.dishes)
		return m, err
	})
}

// opinion is one student's rating of a menu.
type opinion struct {
	email   string
	stars   int
	comment string
	at      time.Time
}

// opinions draws what students thought of a menu: three to fourteen of them, around what the dishes are worth, the
// same for the same menu. Half of them leave a comment.
func opinions(m served, liked map[string]float64, now time.Time) []opinion {
	seed := fnv.New64a()
	seed.Write([]byte(m.key)) // a hash's Write never fails
	rng := rand.New(rand.NewPCG(seed.Sum64(), 1))
	best, worst, worth := rank(m.dishes, liked)
	luck := 0.5 * rng.NormFloat64() // the cook's day
	out := make([]opinion, 3+rng.IntN(12))
	all := people()
	who := rng.Perm(len(students))
	for i := range out {
		stars := int(math.Round(min(5, max(1, worth+luck+0.8*rng.NormFloat64()))))
		o := opinion{email: all[who[i]].email, stars: stars, at: m.opens.Add(time.Duration(15+rng.IntN(150)) * time.Minute)}
		if rng.IntN(2) == 0 {
			o.comment = remark(rng, stars, best, worst)
		}
		if o.at.After(now) {
			o.at = m.closes
		}
		out[i] = o
	}
	return out
}

// rank finds the most and the least liked dish, and what the menu is worth: people judge a meal by both, and by its average.
func rank(dishes []string, liked map[string]float64) (best, worst string, worth float64) {
	if len(dishes) == 0 {
		return "the food", "the food", 3
	}
	sum, high, low := 0.0, 0.0, 6.0
	for _, name := range dishes {
		v := cmp.Or(liked[strings.ToLower(name)], 3.5) // a dish that somebody else put there
		sum += v
		if v > high {
			best, high = name, v
		}
		if v < low {
			worst, low = name, v
		}
	}
	return best, worst, (sum/float64(len(dishes)) + high + low) / 3
}

// remarks by stars; {best} and {worst} stand for dishes.
var remarks = [5][]string{
	{
		"{worst} was undercooked and cold. Could not finish it.", "Found a hair in the {worst}. Please check the kitchen.",
		"Worst meal this month, the {worst} tasted burnt.", "Bilkul bekaar, {worst} mein sirf paani tha.", "Waited twenty minutes and the {best} was over.",
	},
	{
		"{worst} was too salty today.", "Far too oily. My stomach is complaining.", "{worst} again? Please change the rotation.",
		"Food was lukewarm by 9 pm, the queue was slow.", "Namak zyada tha, {worst} theek nahi tha.",
	},
	{
		"Okay overall. {worst} needs more seasoning.", "Average. {best} was fine, the rest forgettable.", "Theek thaak, kuch khaas nahi.",
		"Portion of {best} is getting smaller.", "Not bad, but the plates were still wet.",
	},
	{
		"{best} was good, would eat again.", "Nice variety today and the queue moved fast.", "Accha khana, {best} mast tha.",
		"Fresh and hot. {worst} could be better.", "Good meal, thank you to the staff at the counter.",
	},
	{
		"{best} was amazing, best of the week!", "Loved the {best}. More of this please.", "Ekdum ghar jaisa khana, {best} superb!",
		"Perfect {best}, hot and fresh. Full marks.", "Went back for a second helping of {best}.",
	},
}

func remark(rng *rand.Rand, stars int, best, worst string) string {
	of := remarks[stars-1]
	return strings.NewReplacer("{best}", best, "{worst}", worst).Replace(of[rng.IntN(len(of))])
}
