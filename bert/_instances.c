/* Documents to pairs of segments, and masks: what plain_draws.py and masking.py do, faster.
 *
 * All of it is draws that depend on those before, one at a time, which neither Python nor numpy does
 * fast. The draws are those of Python's random.Random (Mersenne Twister, MT19937: Matsumoto and
 * Nishimura, 1998), in the order of the original's create_pretraining_data.py. The two modules in
 * Python serve where this one could not be compiled, and say more of what is done here and why.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* To be changed together with that of compiled_draws.py when what the functions take or give changes. */
#define VERSION 1

#define STATE_WORDS 624
#define SHIFT_WORDS 397

/* The state of random.Random: the words, and which of them is next. */
typedef struct {
    uint32_t words[STATE_WORDS];
    uint32_t next;
} Twister;

static uint32_t twist(uint32_t high, uint32_t low) {
    uint32_t mixed = (high & 0x80000000u) | (low & 0x7fffffffu);
    return (mixed >> 1) ^ (low & 1 ? 0x9908b0dfu : 0);
}

static uint32_t draw_word(Twister *twister) {
    uint32_t *words = twister->words, word;
    if (twister->next >= STATE_WORDS) {
        for (int place = 0; place < STATE_WORDS; place++)
            words[place] = words[(place + SHIFT_WORDS) % STATE_WORDS] ^
                           twist(words[place], words[(place + 1) % STATE_WORDS]);
        twister->next = 0;
    }
    word = words[twister->next++];
    word ^= word >> 11;
    word ^= (word << 7) & 0x9d2c5680u;
    word ^= (word << 15) & 0xefc60000u;
    return word ^ (word >> 18);
}

/* random(): from 0 to 1, with 53 bits. */
static double draw_uniform(Twister *twister) {
    uint32_t high = draw_word(twister) >> 5, low = draw_word(twister) >> 6;
    return (high * 67108864.0 + low) / 9007199254740992.0;
}

/* randrange(bound), for a bound from 1 to 2**32 - 1. */
static uint32_t draw_below(Twister *twister, uint32_t bound) {
    int bits = 0;
    uint32_t number;
    while (bound >> bits)
        if (++bits == 32) break;
    do
        number = draw_word(twister) >> (32 - bits);
    while (number >= bound);
    return number;
}

/* Bytes that grow as they are written. */
typedef struct {
    char *data;
    size_t size, capacity;
    int failed;
} Column;

static void append(Column *column, const void *data, size_t size) {
    if (column->size + size > column->capacity) {
        size_t capacity = 2 * (column->size + size) + 4096;
        char *larger = column->failed ? NULL : realloc(column->data, capacity);
        if (!larger) {
            column->failed = 1;
            return;
        }
        column->data = larger;
        column->capacity = capacity;
    }
    memcpy(column->data + column->size, data, size);
    column->size += size;
}

static void append_int32(Column *column, int32_t value) { append(column, &value, sizeof value); }

static void append_int64(Column *column, int64_t value) { append(column, &value, sizeof value); }

enum { SEGMENTS, RANDOM_NEXT, COUNTS, PLACES, UNCHANGED, REPLACED, REPLACEMENTS, NUM_COLUMNS };

typedef struct {
    Twister *twister;
    const int64_t *order, *sentence_starts, *document_starts;
    int64_t num_documents, max_tokens;
    double short_chance;
    /* By the number of tokens of an instance how many are predicted; NULL for no masks. */
    const int32_t *limits;
    /* For each token of the text whether a unit starts with it, and whether it is never masked;
     * NULL where each is a unit, and where all may be masked. */
    const char *starts, *special;
    int by_units;
    const int32_t *word_ids;
    uint32_t num_words;
    /* Room for max_tokens + 1 values each. */
    int32_t *places, *bounds, *chosen;
    Column columns[NUM_COLUMNS];
} Maker;

/* The end of the fewest sentences, at least one, that have `length` tokens, or that of the document. */
static int64_t sentence_reaching(const Maker *maker, int64_t sentence, int64_t length, int64_t end) {
    const int64_t *starts = maker->sentence_starts;
    int64_t reaching = sentence + 1;
    while (reaching < end && starts[reaching] < starts[sentence] + length) reaching++;
    return reaching;
}

/* Shuffles, and returns how many tokens were chosen of the whole units in the order they came to. */
static int64_t choose(Maker *maker, int64_t num_units, int64_t limit) {
    int32_t *order = maker->bounds + maker->max_tokens + 1;
    int64_t num_chosen = 0;
    for (int64_t unit = 0; unit < num_units; unit++) order[unit] = (int32_t)unit;
    for (int64_t last = num_units - 1; last > 0; last--) {
        uint32_t other = draw_below(maker->twister, (uint32_t)last + 1);
        int32_t moved = order[last];
        order[last] = order[other];
        order[other] = moved;
    }
    for (int64_t unit = 0; unit < num_units && num_chosen < limit; unit++) {
        int32_t start = maker->bounds[order[unit]], end = maker->bounds[order[unit] + 1];
        /* One that does not fit is passed over; a shorter one further on may. */
        if (num_chosen + end - start <= limit)
            while (start < end) maker->chosen[num_chosen++] = maker->places[start++];
    }
    return num_chosen;
}

/* Masks the instance of two segments. */
static void mask(Maker *maker, const int64_t segments[4]) {
    int64_t first_length = segments[1] - segments[0];
    int64_t count = first_length + segments[3] - segments[2], num_places = 0, num_units = 0;
    int64_t before = (int64_t)(maker->columns[PLACES].size / sizeof(int32_t)), num_chosen;
    for (int64_t place = 0; place < count; place++) {
        int in_first = place < first_length;
        int64_t token = in_first ? segments[0] + place : segments[2] + place - first_length;
        if (maker->special && maker->special[token]) continue;
        if (!num_places || !maker->starts || maker->starts[token] ||
            (maker->by_units && place == first_length))
            maker->bounds[num_units++] = (int32_t)num_places;
        maker->places[num_places++] = (int32_t)place;
    }
    maker->bounds[num_units] = (int32_t)num_places;
    num_chosen = choose(maker, num_units, maker->limits[count]);
    append(&maker->columns[PLACES], maker->chosen, num_chosen * sizeof(int32_t));
    append_int32(&maker->columns[COUNTS], (int32_t)num_chosen);
    for (int64_t done = 0; done < num_chosen; done++) {
        if (draw_uniform(maker->twister) < 0.8) continue;
        if (draw_uniform(maker->twister) < 0.5) {
            append_int64(&maker->columns[UNCHANGED], before + done);
        } else {
            uint32_t word = draw_below(maker->twister, maker->num_words);
            append_int64(&maker->columns[REPLACED], before + done);
            append_int32(&maker->columns[REPLACEMENTS], maker->word_ids[word]);
        }
    }
}

/* Takes tokens off the longer segment, at a random end each, until both fit. */
static void truncate_pair(Maker *maker, int64_t segments[4]) {
    for (;;) {
        int64_t first = segments[1] - segments[0], second = segments[3] - segments[2];
        int64_t *longer = first > second ? segments : segments + 2;
        if (first + second <= maker->max_tokens) return;
        if (draw_uniform(maker->twister) < 0.5)
            longer[0]++;
        else
            longer[1]--;
    }
}

/* Makes the instances of the document at a place of the order. */
static void make_document(Maker *maker, int64_t place) {
    const int64_t *starts = maker->sentence_starts, *documents = maker->document_starts;
    int64_t chunk = documents[maker->order[place]], end = documents[maker->order[place] + 1];
    int64_t target = maker->max_tokens;
    if (draw_uniform(maker->twister) < maker->short_chance)
        target = 2 + draw_below(maker->twister, (uint32_t)maker->max_tokens - 1);
    while (chunk < end) {
        int64_t chunk_end = sentence_reaching(maker, chunk, target, end), first_end = chunk + 1;
        int64_t segments[4];
        char is_random_next;
        if (chunk_end > first_end)
            first_end += draw_below(maker->twister, (uint32_t)(chunk_end - first_end));
        segments[0] = starts[chunk];
        segments[1] = starts[first_end];
        is_random_next = chunk_end == chunk + 1 || draw_uniform(maker->twister) < 0.5;
        if (is_random_next) {
            int64_t other = place, sentence, other_end;
            /* With one document, all ten tries end at itself. */
            for (int tries = 0; tries < 10 && other == place; tries++)
                other = draw_below(maker->twister, (uint32_t)maker->num_documents);
            sentence = documents[maker->order[other]];
            other_end = documents[maker->order[other] + 1];
            sentence += draw_below(maker->twister, (uint32_t)(other_end - sentence));
            segments[2] = starts[sentence];
            segments[3] = starts[sentence_reaching(
                maker, sentence, target - (segments[1] - segments[0]), other_end)];
            /* The sentences that were to be B are put back. */
            chunk = first_end;
        } else {
            segments[2] = segments[1];
            segments[3] = starts[chunk_end];
            chunk = chunk_end;
        }
        truncate_pair(maker, segments);
        append(&maker->columns[SEGMENTS], segments, sizeof segments);
        append(&maker->columns[RANDOM_NEXT], &is_random_next, 1);
        if (maker->limits) mask(maker, segments);
    }
}

static int is_state(const Py_buffer *state) {
    if (state->len == sizeof(Twister)) return 1;
    PyErr_SetString(PyExc_ValueError, "the state has not 625 words");
    return 0;
}

static PyObject *shuffle(PyObject *module, PyObject *arguments) {
    Py_buffer state, items;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(arguments, "w*w*", &state, &items)) return NULL;
    if (is_state(&state)) {
        int64_t *values = items.buf;
        for (int64_t last = (int64_t)(items.len / sizeof *values) - 1; last > 0; last--) {
            uint32_t other = draw_below(state.buf, (uint32_t)last + 1);
            int64_t moved = values[last];
            values[last] = values[other];
            values[other] = moved;
        }
        result = Py_NewRef(Py_None);
    }
    PyBuffer_Release(&items);
    PyBuffer_Release(&state);
    return result;
}

/* Gives the columns of a maker as bytes, in the order of their names, and lets go of them. */
static PyObject *give(Maker *maker) {
    PyObject *result = PyTuple_New(NUM_COLUMNS);
    for (int index = 0; index < NUM_COLUMNS; index++) {
        Column *column = &maker->columns[index];
        PyObject *bytes = NULL;
        if (result && column->failed)
            PyErr_NoMemory();
        else if (result)
            bytes = PyBytes_FromStringAndSize(column->data, (Py_ssize_t)column->size);
        free(column->data);
        if (bytes)
            PyTuple_SET_ITEM(result, index, bytes);
        else
            Py_CLEAR(result);
    }
    return result;
}

static PyObject *make(PyObject *module, PyObject *arguments) {
    Py_buffer state, order, sentence_starts, document_starts, limits, starts, special, word_ids;
    Py_ssize_t begin, end, max_tokens;
    Maker maker = {0};
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(arguments, "w*y*y*y*nnndy*y*y*py*", &state, &order, &sentence_starts,
                          &document_starts, &begin, &end, &max_tokens, &maker.short_chance,
                          &limits, &starts, &special, &maker.by_units, &word_ids))
        return NULL;
    maker.twister = state.buf;
    maker.order = order.buf;
    maker.sentence_starts = sentence_starts.buf;
    maker.document_starts = document_starts.buf;
    maker.num_documents = (int64_t)(order.len / sizeof(int64_t));
    maker.max_tokens = max_tokens;
    maker.limits = limits.len ? limits.buf : NULL;
    maker.starts = starts.len ? starts.buf : NULL;
    maker.special = special.len ? special.buf : NULL;
    maker.word_ids = word_ids.buf;
    maker.num_words = (uint32_t)(word_ids.len / sizeof(int32_t));
    maker.places = malloc(4 * (max_tokens + 1) * sizeof(int32_t));
    if (!is_state(&state)) {
    } else if (!maker.places) {
        PyErr_NoMemory();
    } else {
        maker.chosen = maker.places + max_tokens + 1;
        maker.bounds = maker.chosen + max_tokens + 1;
        for (Py_ssize_t place = begin; place < end; place++) make_document(&maker, place);
        result = give(&maker);
    }
    free(maker.places);
    PyBuffer_Release(&state);
    PyBuffer_Release(&order);
    PyBuffer_Release(&sentence_starts);
    PyBuffer_Release(&document_starts);
    PyBuffer_Release(&limits);
    PyBuffer_Release(&starts);
    PyBuffer_Release(&special);
    PyBuffer_Release(&word_ids);
    return result;
}

static PyMethodDef methods[] = {
    {"shuffle", shuffle, METH_VARARGS,
     "shuffle(state, items): does what random.shuffle does, with int64 items, in place."},
    {"make", make, METH_VARARGS,
     "make(state, order, sentence_starts, document_starts, begin, end, max_tokens, short_chance, "
     "limits, starts, special, by_units, word_ids): makes the instances of the documents from "
     "begin to end of the order, and returns their columns as bytes."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_instances", "Pairs of segments and masks, drawn fast.", -1, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__instances(void) {
    PyObject *module = PyModule_Create(&definition);
    if (module && PyModule_AddIntConstant(module, "VERSION", VERSION) < 0) Py_CLEAR(module);
    return module;
}
