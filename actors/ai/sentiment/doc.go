// Package sentiment says how a comment is meant, in English, in Hindi or in a mix of both, from -1 for the worst to 1 for the best, and by which words.
//
//	text --> tokens: words, emoticons, emoji, and phrases that are one word, each with its valence by the lexicons
//	     --> valences in their place: boosters, capitals, negation before and after the word, "but"
//	     --> their sum, bounded --> a fit to how people score the same text
//
// The rules and their constants are those of VADER: C.J. Hutto and E. Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
// Social Media Text", ICWSM 2014, and its English lexicon is used. Unlike there, no word reaches over the end of a clause, a phrase and an emoji
// are one word, and some Hindi words also act on those before them. What students write of their meals, in Hindi by Latin letters and by its
// own, is in hinglish.tsv. How well it does is in TestEvaluation. It is pure: no clock, no randomness, no I/O.
package sentiment
