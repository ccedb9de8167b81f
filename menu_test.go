package nexus

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func amount(x float64) *float64 { return &x }

func item(diet string, kcal *float64, allergens ...string) MenuItem {
	return MenuItem{Dish: Dish{Diet: diet, Allergens: allergens, Nutrition: Nutrition{KCal: kcal, ProteinG: amount(0.1)}}}
}

func TestSum(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		items     []MenuItem
		kcal      *float64
		protein   *float64
		allergens []string
		diet      string
	}{
		"no items":              {nil, amount(0), amount(0), []string{}, ""},
		"one":                   {[]MenuItem{item(Veg, amount(120.5), "milk")}, amount(120.5), amount(0.1), []string{"milk"}, Veg},
		"known and unknown":     {[]MenuItem{item(Veg, amount(1)), item(Veg, nil)}, nil, amount(0.2), []string{}, Veg},
		"zero is not unknown":   {[]MenuItem{item(Vegan, amount(0)), item(Vegan, amount(0))}, amount(0), amount(0.2), []string{}, Vegan},
		"least restrictive":     {[]MenuItem{item(Egg, amount(1)), item(Vegan, amount(2)), item(Veg, amount(3))}, amount(6), amount(0.3), []string{}, Egg},
		"meat beats everything": {[]MenuItem{item(NonVeg, amount(1)), item(Egg, amount(2))}, amount(3), amount(0.2), []string{}, NonVeg},
		"union, sorted, once":   {[]MenuItem{item(Veg, amount(1), "nuts", "milk"), item(Veg, amount(1), "gluten", "milk")}, amount(2), amount(0.2), []string{"gluten", "milk", "nuts"}, Veg},
		"no binary dust":        {[]MenuItem{item(Veg, amount(0.1)), item(Veg, amount(0.2))}, amount(0.3), amount(0.2), []string{}, Veg},
		"diet nobody knows":     {[]MenuItem{item("PALEO", amount(1))}, amount(1), amount(0.1), []string{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			totals, allergens, diet := Sum(tc.items)
			same(t, "kcal", totals.KCal, tc.kcal)
			same(t, "protein", totals.ProteinG, tc.protein)
			if allergens == nil || !slices.Equal(allergens, tc.allergens) || diet != tc.diet {
				t.Errorf("allergens %v, diet %q", allergens, diet)
			}
		})
	}
}

func same(t *testing.T, what string, got, want *float64) {
	t.Helper()
	if (got == nil) != (want == nil) || got != nil && *got != *want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// The order of the dishes on a menu changes nothing of what they add up to.
func TestSumKnowsNoOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOf(rapid.Custom(func(t *rapid.T) MenuItem {
			kcal := amount(float64(rapid.IntRange(0, 20_000).Draw(t, "tenths")) / 10)
			if rapid.IntRange(0, 9).Draw(t, "unknown") == 0 {
				kcal = nil
			}
			return item(rapid.SampledFrom(Diets()).Draw(t, "diet"), kcal,
				rapid.SliceOf(rapid.SampledFrom([]string{"milk", "nuts", "soy"})).Draw(t, "allergens")...)
		})).Draw(t, "items")
		before, allergens, diet := Sum(items)
		other := rapid.Permutation(items).Draw(t, "other")
		after, allergens2, diet2 := Sum(other)
		if (before.KCal == nil) != (after.KCal == nil) || before.KCal != nil && *before.KCal != *after.KCal {
			t.Fatalf("kcal %v, then %v", before.KCal, after.KCal)
		}
		if !slices.Equal(allergens, allergens2) || diet != diet2 {
			t.Fatal("allergens or diet depend on the order")
		}
	})
}

func TestDishName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "  ": "", "Dal": "Dal", " Dal\t Makhani\n": "Dal Makhani"} {
		if got := DishName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
