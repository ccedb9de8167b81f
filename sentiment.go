package nexus

import "time"

// Sentiment is how the comments of a hall, a dish or a day are meant.
type Sentiment struct {
	Key      string            `json:"key"` // the id of the hall or dish, or the day
	Name     string            `json:"name"`
	Comments int               `json:"comments"`
	Mean     float64           `json:"mean"`     // of their scores, from -1 to 1
	Positive int               `json:"positive"` // above 0.05, VADER's own bound
	Negative int               `json:"negative"` // below -0.05
	Drivers  []SentimentDriver `json:"drivers"`  // the words that told most, the strongest first
	Engines  map[string]int    `json:"engines"`  // how many comments each method has scored
}

// SentimentDriver is a word that told.
type SentimentDriver struct {
	Word     string  `json:"word"`
	Comments int     `json:"comments"` // that it decided
	Weight   float64 `json:"weight"`   // the sum of what they would lose without it
}

// Comment is what somebody said of a meal.
type Comment struct {
	Menu     MenuID
	User     UserID
	Text     string
	ScoredAt time.Time // when its score was made that it has
}

// SentimentTrial is how good a model's scores of an evaluation set are, beside the local method's of the same.
type SentimentTrial struct {
	Model    string    `json:"model"`
	N        int       `json:"n"`
	R        float64   `json:"r"`   // Pearson's, with what people say
	MAE      float64   `json:"mae"` // mean absolute error, of scores from -1 to 1
	LocalR   float64   `json:"localR"`
	LocalMAE float64   `json:"localMae"`
	Better   bool      `json:"better"` // than the local method, whose place it takes
	MadeAt   time.Time `json:"madeAt"`
}

// Judged returns the trial with its verdict: better is who agrees more with people, and is no further off.
func (t SentimentTrial) Judged() SentimentTrial {
	t.Better = t.R > t.LocalR && t.MAE <= t.LocalMAE
	return t
}
