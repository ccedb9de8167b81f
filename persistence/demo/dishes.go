package demo

import (
	"context"
	"strings"
)

// dish is a dish of the catalogue. Amounts are per serving; the last of them is sodium in mg.
type dish struct {
	name, diet                                string
	servingG, kcal, protein, carbs, fat, salt float64
	allergens                                 string  // separated by spaces
	liked                                     float64 // what an average student gives it, 1-5
}

// catalogue is what the demo kitchens cook, by course. Figures are rounded from common food tables.
var catalogue = map[string][]dish{
	"tiffin": {
		{"Idli", "VEGAN", 150, 195, 6, 40, 0.8, 420, "", 4.1},
		{"Masala Dosa", "VEG", 200, 330, 7, 49, 12, 610, "milk", 4.6},
		{"Poha", "VEGAN", 200, 270, 5, 46, 7, 480, "peanut", 3.6},
		{"Upma", "VEG", 200, 250, 6, 38, 8, 520, "gluten milk", 2.8},
		{"Aloo Paratha", "VEG", 180, 380, 8, 52, 15, 640, "gluten milk", 4.3},
		{"Medu Vada", "VEGAN", 120, 290, 9, 30, 15, 450, "", 4.0},
		{"Chole Bhature", "VEG", 300, 590, 16, 74, 26, 890, "gluten milk", 4.7},
		{"Vegetable Uttapam", "VEGAN", 180, 280, 8, 45, 8, 500, "", 3.7},
	},
	"side": {
		{"Sambar", "VEGAN", 150, 105, 5, 16, 2.5, 430, "mustard", 3.9},
		{"Coconut Chutney", "VEGAN", 40, 95, 1.5, 4, 8.5, 160, "mustard", 4.0},
		{"Boiled Eggs", "EGG", 100, 155, 13, 1.1, 11, 124, "egg", 3.8},
		{"Masala Omelette", "EGG", 120, 220, 14, 4, 16, 380, "egg milk", 4.2},
		{"Sprouts Salad", "VEGAN", 100, 90, 7, 14, 1, 60, "", 3.1},
		{"Cornflakes with Milk", "VEG", 220, 220, 8, 38, 4.5, 300, "milk gluten", 3.0},
	},
	"fruit": {
		{"Banana", "VEGAN", 118, 105, 1.3, 27, 0.4, 1, "", 3.8},
		{"Papaya", "VEGAN", 150, 65, 0.7, 16, 0.4, 12, "", 3.2},
		{"Watermelon", "VEGAN", 200, 60, 1.2, 15, 0.3, 2, "", 4.0},
	},
	"drink": {
		{"Masala Chai", "VEG", 150, 95, 3, 12, 3.5, 45, "milk", 4.4},
		{"Filter Coffee", "VEG", 150, 100, 3, 12, 4, 50, "milk", 4.5},
		{"Buttermilk", "VEG", 200, 60, 3, 6, 2, 290, "milk", 3.9},
		{"Lemon Water", "VEGAN", 250, 60, 0.2, 15, 0, 180, "", 3.7},
	},
	"bread": {
		{"Chapati", "VEGAN", 80, 240, 8, 46, 3, 220, "gluten", 3.3},
		{"Tandoori Roti", "VEGAN", 90, 250, 8.5, 50, 1.5, 250, "gluten", 3.8},
		{"Butter Naan", "VEG", 90, 300, 8, 48, 8.5, 410, "gluten milk", 4.4},
		{"Missi Roti", "VEGAN", 90, 260, 10, 44, 5, 300, "gluten", 3.5},
	},
	"rice": {
		{"Steamed Rice", "VEGAN", 200, 260, 5, 57, 0.5, 2, "", 3.2},
		{"Jeera Rice", "VEG", 200, 310, 5.5, 56, 7, 290, "milk", 3.9},
		{"Lemon Rice", "VEGAN", 200, 320, 5.5, 55, 8.5, 380, "peanut mustard", 3.8},
		{"Vegetable Pulao", "VEG", 220, 330, 7, 56, 8.5, 420, "milk", 3.7},
		{"Curd Rice", "VEG", 220, 270, 7, 44, 7, 360, "milk mustard", 4.0},
	},
	"dal": {
		{"Dal Tadka", "VEG", 180, 210, 11, 28, 6, 460, "milk", 3.8},
		{"Dal Makhani", "VEG", 180, 290, 12, 29, 14, 520, "milk", 4.5},
		{"Rajma Masala", "VEGAN", 180, 230, 12, 34, 5, 480, "", 4.4},
		{"Kadhi Pakora", "VEG", 200, 240, 9, 22, 13, 540, "milk mustard", 3.9},
		{"Rasam", "VEGAN", 180, 60, 2, 10, 1.5, 490, "mustard", 3.7},
	},
	"vegetable": {
		{"Paneer Butter Masala", "VEG", 200, 390, 16, 14, 31, 620, "milk nuts", 4.7},
		{"Palak Paneer", "VEG", 200, 310, 16, 11, 23, 560, "milk", 4.2},
		{"Aloo Gobi", "VEGAN", 180, 190, 4.5, 26, 8, 410, "", 3.0},
		{"Bhindi Masala", "VEGAN", 160, 170, 3.5, 16, 11, 380, "", 3.4},
		{"Baingan Bharta", "VEGAN", 180, 160, 3.5, 17, 9, 400, "", 2.9},
		{"Lauki Chana Dal", "VEGAN", 180, 180, 8, 24, 6, 390, "", 2.4},
		{"Mixed Vegetable Korma", "VEG", 200, 260, 6, 22, 17, 470, "milk nuts", 3.7},
		{"Cabbage Poriyal", "VEGAN", 150, 120, 3, 12, 7, 330, "mustard", 2.7},
		{"Soya Chunk Curry", "VEGAN", 180, 240, 22, 18, 9, 520, "soy", 3.2},
	},
	"meat": {
		{"Chicken Biryani", "NONVEG", 350, 590, 29, 68, 22, 940, "milk nuts", 4.9},
		{"Butter Chicken", "NONVEG", 220, 440, 30, 12, 31, 720, "milk nuts", 4.8},
		{"Chicken Chettinad", "NONVEG", 200, 340, 29, 9, 21, 650, "mustard", 4.5},
		{"Egg Curry", "EGG", 200, 260, 15, 9, 19, 560, "egg", 4.0},
		{"Fish Curry", "NONVEG", 200, 280, 25, 7, 17, 600, "fish mustard", 4.1},
		{"Mutton Rogan Josh", "NONVEG", 200, 410, 28, 8, 30, 690, "milk", 4.6},
	},
	"sweet": {
		{"Gulab Jamun", "VEG", 100, 320, 5, 50, 12, 110, "milk gluten", 4.7},
		{"Rice Kheer", "VEG", 150, 240, 6, 36, 8, 85, "milk nuts", 4.3},
		{"Semiya Payasam", "VEG", 150, 250, 6, 38, 8, 90, "milk gluten nuts", 4.1},
		{"Fruit Custard", "VEG", 150, 190, 5, 30, 5.5, 75, "milk", 3.9},
	},
	"snack": {
		{"Samosa", "VEGAN", 100, 300, 5, 32, 17, 420, "gluten", 4.5},
		{"Pav Bhaji", "VEG", 300, 450, 12, 62, 17, 860, "gluten milk", 4.6},
		{"Bread Pakora", "VEGAN", 140, 340, 8, 38, 17, 510, "gluten", 3.9},
		{"Vada Pav", "VEGAN", 160, 350, 8, 48, 14, 560, "gluten", 4.3},
		{"Bhel Puri", "VEGAN", 150, 230, 6, 38, 6, 470, "peanut gluten", 4.2},
		{"Veg Hakka Noodles", "VEGAN", 250, 380, 9, 58, 12, 880, "gluten soy", 4.1},
		{"Egg Puff", "EGG", 110, 310, 8, 28, 18, 430, "gluten egg milk", 4.0},
	},
	"salad": {
		{"Green Salad", "VEGAN", 100, 30, 1.2, 6, 0.2, 15, "", 3.0},
		{"Boondi Raita", "VEG", 120, 130, 5, 11, 7.5, 320, "milk", 3.8},
		{"Papad", "VEGAN", 15, 50, 3, 8, 0.5, 260, "", 3.9},
	},
}

// dishes adds the dishes that are missing, and their allergens.
func (s seeder) dishes(ctx context.Context) (int64, error) {
	var all []dish
	for _, course := range catalogue {
		all = append(all, course...)
	}
	number := func(of func(dish) float64) []float64 { return each(all, of) }
	return s.insert(ctx, `
with input as (
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::float8[], $5::float8[], $6::float8[], $7::float8[], $8::float8[], $9::float8[], $10::text[])
    as i(id, name, diet, serving_g, kcal, protein_g, carbs_g, fat_g, sodium_mg, allergens)
), made as (
    insert into dish (id, name, diet, serving_g, kcal, protein_g, carbs_g, fat_g, sodium_mg)
    select id, name, diet, serving_g, kcal, protein_g, carbs_g, fat_g, sodium_mg from input
    on conflict do nothing returning id
), allergen as (
    insert into dish_allergen (dish_id, allergen)
    select id, unnest(string_to_array(allergens, ' ')) from input join made using (id)
)
select from made`,
		ids(len(all)), each(all, func(d dish) string { return d.name }), each(all, func(d dish) string { return d.diet }),
		number(func(d dish) float64 { return d.servingG }), number(func(d dish) float64 { return d.kcal }),
		number(func(d dish) float64 { return d.protein }), number(func(d dish) float64 { return d.carbs }),
		number(func(d dish) float64 { return d.fat }), number(func(d dish) float64 { return d.salt }),
		each(all, func(d dish) string { return d.allergens }))
}

// likings returns what students think of each dish, by its name in lower case.
func likings() map[string]float64 {
	out := map[string]float64{}
	for _, course := range catalogue {
		for _, d := range course {
			out[strings.ToLower(d.name)] = d.liked
		}
	}
	return out
}
