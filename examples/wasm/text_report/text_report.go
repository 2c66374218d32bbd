// Counts the words of a text: a WASI command, from Go. Standard input is JSON, a text or {"text": …, "top": n}; standard output is
// {"characters", "words", "distinct", "top": [{"word", "count"}]}. Bad input ends with exit code 1 and a line on standard error.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

type entry struct {
	Word  string `json:"word"`
	Count int    `json:"count"`
}

type report struct {
	Characters int     `json:"characters"`
	Words      int     `json:"words"`
	Distinct   int     `json:"distinct"`
	Top        []entry `json:"top"`
}

type arguments struct {
	Text string `json:"text"`
	Top  int    `json:"top"`
}

func read(input []byte) (arguments, error) {
	given := arguments{Top: 10}
	if json.Unmarshal(input, &given.Text) == nil {
		return given, nil
	}
	if err := json.Unmarshal(input, &given); err != nil {
		return given, errors.New("text_report takes a text, or { \"text\": a text, \"top\": a number }")
	}
	if given.Top < 0 || given.Top > 1000 {
		return given, errors.New("top must be from 0 to 1000")
	}
	return given, nil
}

func count(given arguments) report {
	counts := map[string]int{}
	words := strings.FieldsFunc(strings.ToLower(given.Text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, word := range words {
		counts[word]++
	}
	top := make([]entry, 0, len(counts))
	for word, times := range counts {
		top = append(top, entry{word, times})
	}
	sort.Slice(top, func(i, j int) bool {
		if top[i].Count != top[j].Count {
			return top[i].Count > top[j].Count
		}
		return top[i].Word < top[j].Word
	})
	distinct := len(top)
	if distinct > given.Top {
		top = top[:given.Top]
	}
	return report{utf8.RuneCountInString(given.Text), len(words), distinct, top}
}

func main() {
	input, err := io.ReadAll(os.Stdin)
	var given arguments
	if err == nil {
		given, err = read(input)
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(count(given))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
