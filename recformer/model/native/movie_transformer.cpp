// One training step of the movie transformer: forward, loss, backward, Adam.
//
// A chunk of LANES windows is worked on at a time, one in each lane of a vector, so that every operation, the attention over
// five tokens and the layer norms too, is plain vector arithmetic, and all that the backward pass needs stays in the
// second-level cache. An activation of F features and T tokens is V[F][T]. Sizes are constants of the compilation.
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "lanes.hpp"

namespace {

constexpr int T = TOKENS, D = WIDTH, U = USER_WIDTH, H = HEADS, L = LAYERS, HID = HIDDEN;
constexpr int HEAD = D / H, INNER = 4 * D, PAIRS = T * (T + 1) / 2, JOINT = T * (D + U);
constexpr int NOISE_LAYER = H * PAIRS + 2 * D * T, NOISE = D * T + L * NOISE_LAYER;  // dropped values of a window
constexpr float REPEAT_SCALE = 10.0f;  // as in model/movie_transformer.py

enum Loss { CROSS_ENTROPY, MASKED, SOFT_PENALTY, UNLIKELIHOOD };

template <class P>
struct LayerOf {
  P norm1_g, norm1_b, qkv_w, qkv_b, out_w, out_b, norm2_g, norm2_b, fc1_w, fc1_b, fc2_w, fc2_b;
};
template <class P>
struct ModelOf {  // nothing but pointers, in the order of the names in movie_transformer.py
  P token, position;
  LayerOf<P> layer[L];
  P norm_g, norm_b, user, hidden_w, hidden_b, out_w, repeat;
};
using Layer = LayerOf<const float *>;
using Weights = ModelOf<const float *>;
using LayerGrad = LayerOf<float *>;
using Grads = ModelOf<float *>;  // what one thread adds up; those of the embeddings go through `scatter` instead
constexpr int WEIGHTS = sizeof(Weights) / sizeof(float *);

struct LayerState {  // what the backward pass needs of a layer
  V norm1[D * T], rstd1[T], qkv[3 * D * T], attention[H * PAIRS], mixed[D * T], norm2[D * T], rstd2[T], inner[INNER * T];
};
struct LayerSums {  // gradients of vectors of weights, summed lane by lane until the end of the step
  V norm1_g[D], norm1_b[D], qkv_b[3 * D], out_b[D], norm2_g[D], norm2_b[D], fc1_b[INNER], fc2_b[D];
};
struct Scratch {  // of one thread
  LayerState state[L];
  LayerSums sums[L];
  V position_sum[T * D], norm_g_sum[D], norm_b_sum[D], hidden_b_sum[HID], repeat_sum[T];
  V norm[D * T], rstd[T], x[D * T], y[D * T], wide[INNER * T], wide2[INNER * T], user[U], hidden[HID];
  float flat[LANES * std::max({T * INNER, HID, U})];  // a transposed activation, a row for each token of each window
  float user_w[HID * U], user_w_grad[HID * U];  // the head's weights of the user, who stands beside every token
};

// ---------------------------------------------------------------------------------------------- matrix products

inline void product(const float *a, int an, int ak, const V *in, int count, int size, const float *bias, V *out) {
  constexpr int BLOCK = 5, REST = T % BLOCK;
  for (int c = 0; c + BLOCK <= T; c += BLOCK)
    product_columns<BLOCK, false>(a, an, ak, in + c, T, count, size, bias, out + c, T);
  if constexpr (REST > 0) product_columns<REST, false>(a, an, ak, in + T - REST, T, count, size, bias, out + T - REST, T);
}

// grad[n][k] += sum over m of dy[n][m] * rows[m][k], m over tokens and lanes.
template <int NB, int KB>
inline void outer_tile(const float *dy, int dn, int count, const float *rows, int stride, float *grad, int gn) {
  V sum[NB][KB];
  for (int n = 0; n < NB; n++)
    for (int k = 0; k < KB; k++) sum[n][k] = *(const Unaligned *)(grad + n * gn + k * LANES);
  for (int m = 0; m < count; m++) {
    V row[KB];
    for (int k = 0; k < KB; k++) row[k] = *(const Unaligned *)(rows + m * stride + k * LANES);
    for (int n = 0; n < NB; n++)
      for (int k = 0; k < KB; k++) sum[n][k] += dy[n * dn + m] * row[k];
  }
  for (int n = 0; n < NB; n++)
    for (int k = 0; k < KB; k++) *(Unaligned *)(grad + n * gn + k * LANES) = sum[n][k];
}

template <int KB>
inline void outer_columns(const V *dy, int columns, int outputs, const float *rows, int stride, float *grad, int gn) {
  const float *values = (const float *)dy;
  const int count = columns * LANES;
  constexpr int NB = REGISTERS / 4;
  int n = 0;
  for (; n + NB <= outputs; n += NB)
    outer_tile<NB, KB>(values + (size_t)n * count, count, count, rows, stride, grad + (size_t)n * gn, gn);
  for (; n < outputs; n++)
    outer_tile<1, KB>(values + (size_t)n * count, count, count, rows, stride, grad + (size_t)n * gn, gn);
}

inline void outer(const V *dy, int columns, int outputs, const float *rows, int inputs, float *grad, int gn) {
  int k = 0;
  for (; k + 2 * LANES <= inputs; k += 2 * LANES)
    outer_columns<2>(dy, columns, outputs, rows + k, inputs, grad + k, gn);
  if (k < inputs) outer_columns<1>(dy, columns, outputs, rows + k, inputs, grad + k, gn);
}

// ---------------------------------------------------------------------------------------------- dropout

struct Noise {  // a hash of (step, row, place): the backward pass draws the same again, and so does any thread
  N row;
  uint32_t step, threshold;
  float scale;
  V operator()(int place) const {
    if constexpr (!DROPS) return all(1.0f);
    N h = row + (uint32_t)place;
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = ((h ^ step) ^ (h >> 13)) * 0xc2b2ae35u;
    h ^= h >> 16;
    return h < threshold ? V{} : all(scale);
  }
};

// ---------------------------------------------------------------------------------------------- layers

inline void normalise(const V *x, float epsilon, V *norm, V *rstd) {
  for (int t = 0; t < T; t++) {
    V mean{}, variance{};
    for (int f = 0; f < D; f++) mean += x[f * T + t];
    mean *= 1.0f / D;
    for (int f = 0; f < D; f++) variance += (x[f * T + t] - mean) * (x[f * T + t] - mean);
    rstd[t] = inverse_root(variance * (1.0f / D) + epsilon);
    for (int f = 0; f < D; f++) norm[f * T + t] = (x[f * T + t] - mean) * rstd[t];
  }
}

inline void scale_and_shift(const V *norm, const float *g, const float *b, V *y) {
  for (int f = 0; f < D; f++)
    for (int t = 0; t < T; t++) y[f * T + t] = norm[f * T + t] * g[f] + b[f];
}

// dx (+)= what a layer norm passes back of dy.
template <bool ADD>
inline void normalise_back(const V *dy, const V *norm, const V *rstd, const float *g, V *g_sum, V *b_sum, V *dx) {
  V mean[T] = {}, along[T] = {};
  for (int f = 0; f < D; f++)
    for (int t = 0; t < T; t++) {
      const V d = dy[f * T + t], n = norm[f * T + t];
      g_sum[f] += d * n;
      b_sum[f] += d;
      mean[t] += d * g[f];
      along[t] += d * g[f] * n;
    }
  for (int f = 0; f < D; f++)
    for (int t = 0; t < T; t++) {
      const V back = rstd[t] * (dy[f * T + t] * g[f] - mean[t] * (1.0f / D) - norm[f * T + t] * (along[t] * (1.0f / D)));
      dx[f * T + t] = ADD ? dx[f * T + t] + back : back;
    }
}

inline int pair(int head, int query, int key) { return head * PAIRS + query * (query + 1) / 2 + key; }

inline void attend(const V *qkv, const Noise &noise, int place, V *attention, V *mixed) {
  const float scale = 1.0f / std::sqrt((float)HEAD);
  for (int h = 0; h < H; h++) {
    const V *q = qkv + h * HEAD * T, *k = q + D * T, *v = k + D * T;
    for (int i = 0; i < T; i++) {
      V score[T], top = all(-INFINITY), sum{};
      for (int j = 0; j <= i; j++) {
        score[j] = V{};
        for (int d = 0; d < HEAD; d++) score[j] += q[d * T + i] * k[d * T + j];
        score[j] *= scale;
        top = maximum(top, score[j]);
      }
      for (int j = 0; j <= i; j++) sum += score[j] = exponential(score[j] - top);
      const V share = 1.0f / sum;
      for (int j = 0; j <= i; j++) {
        attention[pair(h, i, j)] = score[j] * share;
        score[j] = attention[pair(h, i, j)] * noise(place + pair(h, i, j));
      }
      for (int d = 0; d < HEAD; d++) {
        V mix{};
        for (int j = 0; j <= i; j++) mix += score[j] * v[d * T + j];
        mixed[(h * HEAD + d) * T + i] = mix;
      }
    }
  }
}

inline void attend_back(const V *dmixed, const V *qkv, const V *attention, const Noise &noise, int place, V *dqkv) {
  const float scale = 1.0f / std::sqrt((float)HEAD);
  for (int i = 0; i < 3 * D * T; i++) dqkv[i] = V{};
  for (int h = 0; h < H; h++) {
    const V *q = qkv + h * HEAD * T, *k = q + D * T, *v = k + D * T, *dmix = dmixed + h * HEAD * T;
    V *dq = dqkv + h * HEAD * T, *dk = dq + D * T, *dv = dk + D * T;
    for (int i = 0; i < T; i++) {
      V back[T], common{};
      for (int j = 0; j <= i; j++) {
        const V p = attention[pair(h, i, j)], kept = noise(place + pair(h, i, j)), dropped = p * kept;
        V d_attention{};
        for (int d = 0; d < HEAD; d++) {
          d_attention += dmix[d * T + i] * v[d * T + j];
          dv[d * T + j] += dropped * dmix[d * T + i];
        }
        back[j] = d_attention * kept;
        common += back[j] * p;
      }
      for (int j = 0; j <= i; j++) {
        const V ds = attention[pair(h, i, j)] * (back[j] - common) * scale;
        for (int d = 0; d < HEAD; d++) {
          dq[d * T + i] += ds * k[d * T + j];
          dk[d * T + j] += ds * q[d * T + i];
        }
      }
    }
  }
}

inline V gelu_back(V x, V dy, V *y) {  // the derivative times dy; the value itself goes to y
  const V s = 1.0f / (1.0f + exponential(-1.5957691216057308f * x * (1.0f + 0.044715f * x * x)));
  *y = x * s;
  return dy * (s + *y * (1.0f - s) * (1.5957691216057308f + 3.0f * 0.044715f * 1.5957691216057308f * x * x));
}

inline void add_dropped(V *x, const V *y, const Noise &noise, int place) {
  for (int i = 0; i < D * T; i++) x[i] += y[i] * noise(place + i);
}

inline void dropped(const V *x, const Noise &noise, int place, V *y) {
  for (int i = 0; i < D * T; i++) y[i] = x[i] * noise(place + i);
}

inline void add_columns(const V *dy, int count, V *sum) {
  for (int n = 0; n < count; n++)
    for (int t = 0; t < T; t++) sum[n] += dy[n * T + t];
}

void layer_forward(const Layer &w, float epsilon, const Noise &noise, int place, Scratch &s, LayerState &state) {
  normalise(s.x, epsilon, state.norm1, state.rstd1);
  scale_and_shift(state.norm1, w.norm1_g, w.norm1_b, s.y);
  product(w.qkv_w, D, 1, s.y, 3 * D, D, w.qkv_b, state.qkv);
  attend(state.qkv, noise, place, state.attention, state.mixed);
  product(w.out_w, D, 1, state.mixed, D, D, w.out_b, s.y);
  add_dropped(s.x, s.y, noise, place + H * PAIRS);
  normalise(s.x, epsilon, state.norm2, state.rstd2);
  scale_and_shift(state.norm2, w.norm2_g, w.norm2_b, s.y);
  product(w.fc1_w, D, 1, s.y, INNER, D, w.fc1_b, state.inner);
  for (int i = 0; i < INNER * T; i++) s.wide[i] = gelu(state.inner[i]);
  product(w.fc2_w, INNER, 1, s.wide, D, INNER, w.fc2_b, s.y);
  add_dropped(s.x, s.y, noise, place + H * PAIRS + D * T);
}

void layer_backward(const Layer &w, const LayerGrad &g, const Noise &noise, int place, Scratch &s, LayerState &state,
                    LayerSums &sums) {
  V dy[D * T];
  dropped(s.x, noise, place + H * PAIRS + D * T, dy);
  add_columns(dy, D, sums.fc2_b);
  product(w.fc2_w, 1, INNER, dy, INNER, D, nullptr, s.wide);
  for (int i = 0; i < INNER * T; i++) s.wide[i] = gelu_back(state.inner[i], s.wide[i], &s.wide2[i]);
  to_rows(s.wide2, INNER, T, s.flat);
  outer(dy, T, D, s.flat, INNER, g.fc2_w, INNER);
  add_columns(s.wide, INNER, sums.fc1_b);
  scale_and_shift(state.norm2, w.norm2_g, w.norm2_b, s.y);
  to_rows(s.y, D, T, s.flat);
  outer(s.wide, T, INNER, s.flat, D, g.fc1_w, D);
  product(w.fc1_w, 1, D, s.wide, D, INNER, nullptr, s.y);
  normalise_back<true>(s.y, state.norm2, state.rstd2, w.norm2_g, sums.norm2_g, sums.norm2_b, s.x);

  dropped(s.x, noise, place + H * PAIRS, dy);
  add_columns(dy, D, sums.out_b);
  to_rows(state.mixed, D, T, s.flat);
  outer(dy, T, D, s.flat, D, g.out_w, D);
  product(w.out_w, 1, D, dy, D, D, nullptr, s.y);
  attend_back(s.y, state.qkv, state.attention, noise, place, s.wide);
  add_columns(s.wide, 3 * D, sums.qkv_b);
  scale_and_shift(state.norm1, w.norm1_g, w.norm1_b, s.y);
  to_rows(s.y, D, T, s.flat);
  outer(s.wide, T, 3 * D, s.flat, D, g.qkv_w, D);
  product(w.qkv_w, 1, D, s.wide, D, 3 * D, nullptr, s.y);
  normalise_back<true>(s.y, state.norm1, state.rstd1, w.norm1_g, sums.norm1_g, sums.norm1_b, s.x);
}

// ---------------------------------------------------------------------------------------------- one step

struct Step {  // the same as in movie_transformer.py
  const float *const *weights;          // in the order of Weights; null where the model has none
  float *const *first, *const *second;  // Adam's moments
  float *const *grads;
  const int64_t *sizes;
  const int64_t *dense_at;     // where each weight's gradient begins in `dense`
  float *dense;                // (threads, dense_size) what each thread adds up; embeddings have no place there
  char *scratch;               // (threads, scratch_bytes())
  float *logits;               // (threads, vocabulary, LANES)
  float *token_grads;          // (rows, T, D) of the embeddings read
  float *user_grads;           // (rows, U)
  const int64_t *sequence;     // tokens of all users, one after the other
  const int64_t *ends;         // (rows,) where the targets stand in it, behind their windows
  const int64_t *firsts;       // (rows,) where their users' tokens begin; where a window would begin before, SOS fills it
  const int64_t *users;        // (rows,)
  const int64_t *seen_from;    // (rows,) from where on what stands before the target counts as a repeat
  float *losses;               // (rows,)
  uint8_t *top_repeats;        // (rows,) whether the likeliest token is in the window
  int64_t dense_size, rows, vocabulary, num_items, num_users, threads, loss, update;
  uint64_t seed;
  float penalty, dropout, epsilon;
  float rate, beta1, beta2, adam_epsilon, correction1, root_correction2;
};

constexpr int TOKEN = 0, USER = offsetof(Weights, user) / sizeof(float *);  // places of the embeddings

inline Weights weights_of(const Step &step) {
  Weights w;
  std::memcpy(&w, step.weights, sizeof(w));
  return w;
}

inline Grads grads_of(const Step &step, int64_t thread) {
  float *places[WEIGHTS];
  for (int i = 0; i < WEIGHTS; i++) places[i] = step.dense + thread * step.dense_size + step.dense_at[i];
  Grads g;
  std::memcpy(&g, places, sizeof(g));
  return g;
}

struct Chunk {  // up to LANES rows, padded with lanes of no weight
  int64_t first, count;
  int64_t tokens[T][LANES], users[LANES], targets[LANES];
  V weight;  // 1 / rows of the batch
};

inline int64_t input_of(const Step &step, int64_t row, int t) {
  return step.sequence[std::max(step.ends[row] - T + t, step.firsts[row])];  // the first token is SOS
}

inline Chunk chunk_of(const Step &step, int64_t first) {
  Chunk chunk = {};
  chunk.first = first;
  chunk.count = std::min<int64_t>(step.rows - first, LANES);
  for (int l = 0; l < chunk.count; l++) {
    for (int t = 0; t < T; t++) chunk.tokens[t][l] = input_of(step, first + l, t);
    chunk.users[l] = step.users[first + l];
    chunk.targets[l] = step.sequence[step.ends[first + l]];
    chunk.weight[l] = 1.0f / step.rows;
  }
  return chunk;
}

void forward(const Step &step, const Weights &w, const Chunk &chunk, const Noise &noise, Scratch &s, V *logits) {
  for (int t = 0; t < T; t++) from_rows(w.token, chunk.tokens[t], D, s.x + t, T);
  for (int f = 0; f < D; f++)
    for (int t = 0; t < T; t++) s.x[f * T + t] = (s.x[f * T + t] + w.position[t * D + f]) * noise(f * T + t);
  for (int l = 0; l < L; l++) layer_forward(w.layer[l], step.epsilon, noise, D * T + l * NOISE_LAYER, s, s.state[l]);
  normalise(s.x, step.epsilon, s.norm, s.rstd);
  scale_and_shift(s.norm, w.norm_g, w.norm_b, s.y);
  from_rows(w.user, chunk.users, U, s.user, 1);
  product_columns<1, false>(s.user_w, U, 1, s.user, 1, HID, U, w.hidden_b, s.hidden, 1);
  for (int t = 0; t < T; t++)
    product_columns<1, true>(w.hidden_w + t * (D + U), JOINT, 1, s.y + t, T, HID, D, nullptr, s.hidden, 1);
  for (int n = 0; n < HID; n++) s.hidden[n] = s.hidden[n] < 0.0f ? V{} : s.hidden[n];
  product_columns<1, false>(w.out_w, HID, 1, s.hidden, 1, (int)step.vocabulary, HID, nullptr, logits, 1);
  if (w.repeat)
    for (int l = 0; l < chunk.count; l++)
      for (int t = 0; t < T; t++) logits[chunk.tokens[t][l]][l] += REPEAT_SCALE * w.repeat[t];
}

// The distinct items that the user had before the target, the target itself left out, from `seen_from` on.
std::vector<int64_t> repeats_of(const Step &step, int64_t row, std::vector<int64_t> &noted) {
  const int64_t end = step.ends[row], target = step.sequence[end];
  std::vector<int64_t> repeats;
  for (int64_t i = step.seen_from[row]; i < end; i++) {
    const int64_t token = step.sequence[i];
    if (token >= step.num_items || token == target || noted[token] == row + 1) continue;
    noted[token] = row + 1;
    repeats.push_back(token);
  }
  return repeats;
}

struct Factors {  // what a row's loss does to the gradient of cross-entropy: to every probability, and to repeats
  float all, repeats, loss;
};

// `exps` are the exponentials of the row's logits, `sum` is theirs.
Factors factors_of(const Step &step, const V *exps, int lane, float sum, const std::vector<int64_t> &repeats) {
  float of_repeats = 0;
  for (int64_t token : repeats) of_repeats += exps[token][lane];
  if (step.loss == SOFT_PENALTY) {
    const float mass = of_repeats / sum, all = 1 - step.penalty * mass;
    return {all, all + step.penalty, step.penalty * mass};
  }
  float rest = sum - of_repeats;
  if (rest < 0.01f * sum) {  // the difference of two close numbers: add up what is left instead
    std::vector<char> is_repeat(step.vocabulary);
    for (int64_t token : repeats) is_repeat[token] = 1;
    rest = 0;
    for (int64_t v = 0; v < step.vocabulary; v++)
      if (!is_repeat[v]) rest += exps[v][lane];
  }
  return {1 - step.penalty * of_repeats / rest, 1 + step.penalty, -step.penalty * std::log(rest / sum)};
}

// The losses of a chunk; its logits become their gradient.
void loss_and_gradient(const Step &step, const Chunk &chunk, std::vector<int64_t> &noted, V *logits) {
  const int64_t vocabulary = step.vocabulary;
  const bool penalised = step.loss == SOFT_PENALTY || step.loss == UNLIKELIHOOD;
  std::vector<int64_t> repeats[LANES];
  V at_target{};
  for (int l = 0; l < chunk.count; l++) {
    at_target[l] = logits[chunk.targets[l]][l];
    if (step.loss != CROSS_ENTROPY) repeats[l] = repeats_of(step, chunk.first + l, noted);
    if (step.loss == MASKED)
      for (int64_t token : repeats[l]) logits[token][l] = -INFINITY;
  }
  V tops[4] = {all(-INFINITY), all(-INFINITY), all(-INFINITY), all(-INFINITY)};
  for (int64_t v = 0; v < vocabulary; v++) tops[v % 4] = maximum(tops[v % 4], logits[v]);
  const V top = maximum(maximum(tops[0], tops[1]), maximum(tops[2], tops[3]));
  for (int l = 0; l < chunk.count; l++) {
    bool repeated = false;
    for (int t = 0; t < T; t++) repeated |= logits[chunk.tokens[t][l]][l] == top[l];
    step.top_repeats[chunk.first + l] = repeated;
  }
  V sums[4] = {};
  for (int64_t v = 0; v < vocabulary; v++) sums[v % 4] += logits[v] = exponential(logits[v] - top);
  const V sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  V factor = chunk.weight / sum;
  std::vector<float> special[LANES];  // gradients of repeats
  for (int l = 0; l < chunk.count; l++) {
    float *loss = &step.losses[chunk.first + l];
    *loss = std::log(sum[l]) + top[l] - at_target[l];
    special[l].assign(repeats[l].size(), 0.0f);
    if (!penalised) continue;
    const Factors factors = factors_of(step, logits, l, sum[l], repeats[l]);
    for (size_t i = 0; i < repeats[l].size(); i++) special[l][i] = logits[repeats[l][i]][l] * factor[l] * factors.repeats;
    factor[l] *= factors.all;
    *loss += factors.loss;
  }
  for (int64_t v = 0; v < vocabulary; v++) logits[v] *= factor;
  for (int l = 0; l < chunk.count; l++) {
    for (size_t i = 0; i < repeats[l].size(); i++) logits[repeats[l][i]][l] = special[l][i];
    logits[chunk.targets[l]][l] -= chunk.weight[l];
  }
}

void backward(const Step &step, const Weights &w, const Grads &g, const Chunk &chunk, const Noise &noise, Scratch &s,
              const V *dlogits) {
  if (w.repeat)
    for (int l = 0; l < chunk.count; l++)
      for (int t = 0; t < T; t++) s.repeat_sum[t][l] += REPEAT_SCALE * dlogits[chunk.tokens[t][l]][l];
  to_rows(s.hidden, HID, 1, s.flat);
  outer(dlogits, 1, (int)step.vocabulary, s.flat, HID, g.out_w, HID);
  V dhidden[HID], duser[U];
  product_columns<1, false>(w.out_w, 1, HID, dlogits, 1, HID, (int)step.vocabulary, nullptr, dhidden, 1);
  for (int n = 0; n < HID; n++) {
    dhidden[n] = s.hidden[n] > 0.0f ? dhidden[n] : V{};
    s.hidden_b_sum[n] += dhidden[n];
  }
  to_rows(s.user, U, 1, s.flat);
  outer(dhidden, 1, HID, s.flat, U, s.user_w_grad, U);
  product_columns<1, false>(s.user_w, 1, U, dhidden, 1, U, HID, nullptr, duser, 1);
  to_rows(duser, U, 1, s.flat);
  std::memcpy(step.user_grads + chunk.first * U, s.flat, sizeof(float) * U * chunk.count);

  to_rows(s.y, D, T, s.flat);  // what the head read
  for (int t = 0; t < T; t++) {
    outer(dhidden, 1, HID, s.flat + t * LANES * D, D, g.hidden_w + t * (D + U), JOINT);
    product_columns<1, false>(w.hidden_w + t * (D + U), 1, JOINT, dhidden, 1, D, HID, nullptr, s.y + t, T);
  }
  normalise_back<false>(s.y, s.norm, s.rstd, w.norm_g, s.norm_g_sum, s.norm_b_sum, s.x);
  for (int l = L - 1; l >= 0; l--)
    layer_backward(w.layer[l], g.layer[l], noise, D * T + l * NOISE_LAYER, s, s.state[l], s.sums[l]);
  for (int f = 0; f < D; f++)
    for (int t = 0; t < T; t++) {
      s.x[f * T + t] *= noise(f * T + t);
      s.position_sum[t * D + f] += s.x[f * T + t];
    }
  to_rows(s.x, D, T, s.flat);
  for (int l = 0; l < chunk.count; l++)
    for (int t = 0; t < T; t++)
      std::memcpy(step.token_grads + ((chunk.first + l) * T + t) * D, s.flat + (t * LANES + l) * D, sizeof(float) * D);
}

void begin(const Weights &w, Scratch &s) {
  std::memset((void *)s.sums, 0, sizeof(s.sums));
  std::memset((void *)s.position_sum, 0, sizeof(s.position_sum));
  std::memset((void *)s.norm_g_sum, 0, sizeof(s.norm_g_sum));
  std::memset((void *)s.norm_b_sum, 0, sizeof(s.norm_b_sum));
  std::memset((void *)s.hidden_b_sum, 0, sizeof(s.hidden_b_sum));
  std::memset((void *)s.repeat_sum, 0, sizeof(s.repeat_sum));
  std::memset(s.user_w_grad, 0, sizeof(s.user_w_grad));
  for (int n = 0; n < HID; n++)
    for (int f = 0; f < U; f++) {
      float sum = 0;
      for (int t = 0; t < T; t++) sum += w.hidden_w[n * JOINT + t * (D + U) + D + f];
      s.user_w[n * U + f] = sum;
    }
}

inline void add_lanes(const V *sums, int count, float *grad) {
  for (int n = 0; n < count; n++) grad[n] = sum_of(sums[n]);
}

void end(const Weights &w, const Grads &g, const Scratch &s) {
  for (int l = 0; l < L; l++) {
    const LayerSums &sums = s.sums[l];
    const LayerGrad &layer = g.layer[l];
    add_lanes(sums.norm1_g, D, layer.norm1_g);
    add_lanes(sums.norm1_b, D, layer.norm1_b);
    add_lanes(sums.qkv_b, 3 * D, layer.qkv_b);
    add_lanes(sums.out_b, D, layer.out_b);
    add_lanes(sums.norm2_g, D, layer.norm2_g);
    add_lanes(sums.norm2_b, D, layer.norm2_b);
    add_lanes(sums.fc1_b, INNER, layer.fc1_b);
    add_lanes(sums.fc2_b, D, layer.fc2_b);
  }
  add_lanes(s.position_sum, T * D, g.position);
  add_lanes(s.norm_g_sum, D, g.norm_g);
  add_lanes(s.norm_b_sum, D, g.norm_b);
  add_lanes(s.hidden_b_sum, HID, g.hidden_b);
  if (w.repeat) add_lanes(s.repeat_sum, T, g.repeat);
  for (int n = 0; n < HID; n++)
    for (int t = 0; t < T; t++)
      for (int f = 0; f < U; f++) g.hidden_w[n * JOINT + t * (D + U) + D + f] = s.user_w_grad[n * U + f];
}

// Gradients of a table of embeddings: this thread's share of its rows, in the order of the cases.
void scatter(int64_t row, const float *__restrict from, int width, int64_t low, int64_t high, float *__restrict grad) {
  if (row < low || row >= high) return;
  for (int f = 0; f < width; f++) grad[row * width + f] += from[f];
}

void scatter_all(const Step &step, int64_t thread) {
  const int64_t tokens = step.vocabulary, users = step.num_users;
  const int64_t low = tokens * thread / step.threads, high = tokens * (thread + 1) / step.threads;
  const int64_t low_user = users * thread / step.threads, high_user = users * (thread + 1) / step.threads;
  std::memset(step.grads[TOKEN] + low * D, 0, sizeof(float) * (high - low) * D);
  std::memset(step.grads[USER] + low_user * U, 0, sizeof(float) * (high_user - low_user) * U);
  for (int64_t row = 0; row < step.rows; row++) {
    for (int t = 0; t < T; t++)
      scatter(input_of(step, row, t), step.token_grads + (row * T + t) * D, D, low, high, step.grads[TOKEN]);
    scatter(step.users[row], step.user_grads + row * U, U, low_user, high_user, step.grads[USER]);
  }
}

void adam(const Step &step, int weight, int64_t low, int64_t high) {
  float *__restrict p = (float *)step.weights[weight], *__restrict m = step.first[weight];
  float *__restrict v = step.second[weight];
  const float *__restrict g = step.grads[weight];
  const float beta1 = step.beta1, beta2 = step.beta2, epsilon = step.adam_epsilon;
  const float rate = step.rate / step.correction1, root_correction2 = step.root_correction2;
  for (int64_t i = low; i < high; i++) {
    m[i] += (1 - beta1) * (g[i] - m[i]);
    v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
    p[i] -= rate * m[i] / (std::sqrt(v[i]) / root_correction2 + epsilon);
  }
}

// This thread's share of a weight: add up what the threads found, and change it.
void finish(const Step &step, int weight, int64_t thread) {
  const int64_t width = weight == TOKEN ? D : weight == USER ? U : 1;  // embeddings are shared out by rows, as in scatter
  const int64_t units = step.sizes[weight] / width;
  const int64_t low = units * thread / step.threads * width, high = units * (thread + 1) / step.threads * width;
  if (weight != TOKEN && weight != USER) {
    float *__restrict grad = step.grads[weight];
    const float *__restrict part = step.dense + step.dense_at[weight];
    for (int64_t i = low; i < high; i++) grad[i] = part[i];
    for (int other = 1; other < step.threads; other++) {
      part += step.dense_size;
      for (int64_t i = low; i < high; i++) grad[i] += part[i];
    }
  }
  if (step.update) adam(step, weight, low, high);
}

class Barrier {  // once a step; who waits sleeps, so that other work has the core
 public:
  explicit Barrier(int64_t threads) : missing_(threads) {}
  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (--missing_ == 0) all_arrived_.notify_all();
    else all_arrived_.wait(lock, [this] { return missing_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_arrived_;
  int64_t missing_;
};

void work(const Step &step, int64_t thread, Barrier &barrier) {
  const Weights w = weights_of(step);
  const Grads g = grads_of(step, thread);
  Scratch &s = *(Scratch *)(step.scratch + thread * sizeof(Scratch));
  V *logits = (V *)(step.logits + thread * step.vocabulary * LANES);
  std::memset(step.dense + thread * step.dense_size, 0, sizeof(float) * step.dense_size);
  begin(w, s);
  std::vector<int64_t> noted(step.vocabulary);  // the row, plus one, that had an item last
  const int64_t chunks = (step.rows + LANES - 1) / LANES;
  const int64_t low = chunks * thread / step.threads, high = chunks * (thread + 1) / step.threads;
  Noise noise;
  noise.step = (uint32_t)(step.seed >> 32);
  noise.threshold = (uint32_t)(step.dropout * 4294967296.0);
  noise.scale = 1.0f / (1.0f - step.dropout);
  for (int64_t c = low; c < high; c++) {
    const Chunk chunk = chunk_of(step, c * LANES);
    for (int l = 0; l < LANES; l++) noise.row[l] = (uint32_t)step.seed + (uint32_t)(chunk.first + l) * NOISE;
    forward(step, w, chunk, noise, s, logits);
    loss_and_gradient(step, chunk, noted, logits);
    backward(step, w, g, chunk, noise, s, logits);
  }
  end(w, g, s);
  barrier.wait();
  scatter_all(step, thread);
  for (int i = 0; i < WEIGHTS; i++)
    if (step.weights[i]) finish(step, i, thread);
}

}  // namespace

extern "C" int64_t lanes() { return LANES; }

extern "C" int64_t scratch_bytes() { return sizeof(Scratch); }

extern "C" void train_step(const Step *step) {
  Barrier barrier(step->threads);
  std::vector<std::thread> others;
  for (int64_t thread = 1; thread < step->threads; thread++)
    others.emplace_back(work, std::cref(*step), thread, std::ref(barrier));
  work(*step, 0, barrier);
  for (std::thread &other : others) other.join();
}
