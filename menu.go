package nexus

import (
	"math"
	"slices"
	"strings"
)

// Diets of dishes, the most restrictive first: who eats by one of them eats everything before it, too.
const (
	Vegan  = "VEGAN"
	Veg    = "VEG" // with milk, without eggs
	Egg    = "EGG"
	NonVeg = "NONVEG"
)

// Diets lists the diets, the most restrictive first.
func Diets() []string { return []string{Vegan, Veg, Egg, NonVeg} }

// DishName is the one way to write a dish's name: no space around it, single spaces inside. Two
// names that differ in case alone mean one dish.
func DishName(s string) string { return strings.Join(strings.Fields(s), " ") }

// Sum works out what the items add up to. An amount that is unknown of any item is unknown of the
// sum; the sum of no items is 0. Amounts are rounded to hundredths, since adding binary fractions
// leaves dust. Allergens is the sorted union, never nil. Diet is the least restrictive one, empty for no items.
func Sum(items []MenuItem) (totals Nutrition, allergens []string, diet string) {
	totals = Nutrition{
		KCal:     sumOf(items, func(n Nutrition) *float64 { return n.KCal }),
		ProteinG: sumOf(items, func(n Nutrition) *float64 { return n.ProteinG }),
		CarbsG:   sumOf(items, func(n Nutrition) *float64 { return n.CarbsG }),
		FatG:     sumOf(items, func(n Nutrition) *float64 { return n.FatG }),
		SodiumMg: sumOf(items, func(n Nutrition) *float64 { return n.SodiumMg }),
	}
	allergens = []string{}
	rank := -1
	for _, it := range items {
		allergens = append(allergens, it.Allergens...)
		rank = max(rank, slices.Index(Diets(), it.Diet))
	}
	slices.Sort(allergens)
	if rank >= 0 {
		diet = Diets()[rank]
	}
	return totals, slices.Compact(allergens), diet
}

func sumOf(items []MenuItem, amount func(Nutrition) *float64) *float64 {
	var sum float64
	for _, it := range items {
		n := amount(it.Nutrition)
		if n == nil {
			return nil
		}
		sum += *n
	}
	sum = math.Round(sum*100) / 100
	return &sum
}
