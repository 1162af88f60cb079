// Evaluation on a CPU: the movie transformer's scores without dropout, and the ranks of scores, whichever model's.
//
// Scores are worked out for LANES windows at a time, one in each lane of a vector (lanes.hpp), and ranked while they
// are in the second-level cache. Sizes are arguments: one library serves every shape of model.
#include <vector>

#include "lanes.hpp"
#include "ranking.hpp"

namespace {

constexpr float REPEAT_SCALE = 10.0f;  // as in model/movie_transformer.py

struct Linear {
  const float *weight, *bias;
};
struct Norm {
  const float *gain, *bias;
};
struct Layer {
  Norm norm1;
  Linear qkv, out;
  Norm norm2;
  Linear fc1, fc2;
};
struct Model {  // the same as in native/evaluation.py
  const float *token, *position, *user, *repeat;  // repeat: null where the model has none
  Norm norm;
  const Layer *layers;
  const Linear *head;      // its hidden layers, then the one without bias that gives the scores
  const int64_t *hidden;   // widths of the head's hidden layers
  int64_t num_layers, num_hidden, window, width, user_width, heads, vocabulary;
  float epsilon;
};

typedef std::vector<V> Block;

// out[count][columns] = bias + weight (count, size) times in[size][columns].
void multiply(const Linear &linear, const Block &in, int64_t count, int64_t size, int64_t columns, Block &out) {
  const auto part = [&](auto product, int64_t c) {
    product(linear.weight, (int)size, 1, in.data() + c, (int)columns, (int)count, (int)size, linear.bias, out.data() + c,
            (int)columns);
  };
  int64_t c = 0;
  for (; c + 5 <= columns; c += 5) part(product_columns<5, false>, c);
  if (columns - c == 4) part(product_columns<4, false>, c);
  if (columns - c == 3) part(product_columns<3, false>, c);
  if (columns - c == 2) part(product_columns<2, false>, c);
  if (columns - c == 1) part(product_columns<1, false>, c);
}

class Scorer {
 public:
  explicit Scorer(const Model &model)
      : m_(model), T_(model.window), D_(model.width), x_(D_ * T_), y_(D_ * T_), wide_(4 * D_ * T_), mixed_(D_ * T_),
        logits_((model.vocabulary + LANES - 1) / LANES * LANES) {
    int64_t widest = T_ * (D_ + m_.user_width);
    for (int64_t i = 0; i < m_.num_hidden; i++) widest = std::max(widest, m_.hidden[i]);
    head_.resize(widest);
    head_next_.resize(widest);
    score_.resize(T_);
  }

  // Scores (count, vocabulary) of up to LANES cases, from their tokens (count, window) and users.
  void score(const int32_t *tokens, const int32_t *users, int64_t count, float *out) {
    embed(tokens, count);
    for (int64_t l = 0; l < m_.num_layers; l++) layer(m_.layers[l]);
    normalise(m_.norm, x_, y_);
    head(users, count);
    if (m_.repeat)
      for (int64_t l = 0; l < count; l++)
        for (int64_t t = 0; t < T_; t++) logits_[tokens[l * T_ + t]][l] += REPEAT_SCALE * m_.repeat[t];
    write(count, out);
  }

 private:
  void embed(const int32_t *tokens, int64_t count) {
    std::fill(x_.begin(), x_.end(), V{});
    float *x = (float *)x_.data();
    for (int64_t l = 0; l < count; l++)
      for (int64_t t = 0; t < T_; t++) {
        const float *token = m_.token + tokens[l * T_ + t] * D_, *position = m_.position + t * D_;
        for (int64_t f = 0; f < D_; f++) x[(f * T_ + t) * LANES + l] = token[f] + position[f];
      }
  }

  void layer(const Layer &w) {
    normalise(w.norm1, x_, y_);
    multiply(w.qkv, y_, 3 * D_, D_, T_, wide_);
    attend();
    multiply(w.out, mixed_, D_, D_, T_, y_);
    for (int64_t i = 0; i < D_ * T_; i++) x_[i] += y_[i];
    normalise(w.norm2, x_, y_);
    multiply(w.fc1, y_, 4 * D_, D_, T_, wide_);
    for (V &value : wide_) value = gelu(value);
    multiply(w.fc2, wide_, D_, 4 * D_, T_, y_);
    for (int64_t i = 0; i < D_ * T_; i++) x_[i] += y_[i];
  }

  void normalise(const Norm &norm, const Block &x, Block &y) const {
    for (int64_t t = 0; t < T_; t++) {
      V mean{}, variance{};
      for (int64_t f = 0; f < D_; f++) mean += x[f * T_ + t];
      mean *= 1.0f / D_;
      for (int64_t f = 0; f < D_; f++) variance += (x[f * T_ + t] - mean) * (x[f * T_ + t] - mean);
      const V rstd = inverse_root(variance * (1.0f / D_) + m_.epsilon);
      for (int64_t f = 0; f < D_; f++) y[f * T_ + t] = (x[f * T_ + t] - mean) * rstd * norm.gain[f] + norm.bias[f];
    }
  }

  // wide_ holds queries, keys and values.
  void attend() {
    const int64_t size = D_ / m_.heads;
    const float scale = 1.0f / std::sqrt((float)size);
    for (int64_t h = 0; h < m_.heads; h++) {
      const V *q = wide_.data() + h * size * T_, *k = q + D_ * T_, *v = k + D_ * T_;
      for (int64_t i = 0; i < T_; i++) {
        V top = all(-INFINITY), sum{};
        for (int64_t j = 0; j <= i; j++) {
          V score{};
          for (int64_t d = 0; d < size; d++) score += q[d * T_ + i] * k[d * T_ + j];
          score_[j] = score * scale;
          top = maximum(top, score_[j]);
        }
        for (int64_t j = 0; j <= i; j++) sum += score_[j] = exponential(score_[j] - top);
        const V share = 1.0f / sum;
        for (int64_t d = 0; d < size; d++) {
          V mix{};
          for (int64_t j = 0; j <= i; j++) mix += score_[j] * v[d * T_ + j];
          mixed_[(h * size + d) * T_ + i] = mix * share;
        }
      }
    }
  }

  // The user stands beside every token: head_[t][tokens' features, user's features].
  void head(const int32_t *users, int64_t count) {
    const int64_t joint = D_ + m_.user_width;
    for (int64_t t = 0; t < T_; t++) {
      V *place = head_.data() + t * joint;
      for (int64_t f = 0; f < D_; f++) place[f] = y_[f * T_ + t];
      for (int64_t f = 0; f < m_.user_width; f++) {
        place[D_ + f] = V{};
        for (int64_t l = 0; l < count; l++) place[D_ + f][l] = m_.user[users[l] * m_.user_width + f];
      }
    }
    int64_t size = T_ * joint;
    for (int64_t i = 0; i < m_.num_hidden; i++) {
      multiply(m_.head[i], head_, m_.hidden[i], size, 1, head_next_);
      size = m_.hidden[i];
      for (int64_t n = 0; n < size; n++) head_next_[n] = head_next_[n] < 0.0f ? V{} : head_next_[n];
      head_.swap(head_next_);
    }
    multiply(m_.head[m_.num_hidden], head_, m_.vocabulary, size, 1, logits_);
  }

  void write(int64_t count, float *out) {
    for (int64_t v = 0; v < m_.vocabulary; v += LANES) {
      transpose(&logits_[v]);
      const size_t bytes = sizeof(float) * std::min<int64_t>(LANES, m_.vocabulary - v);
      for (int64_t l = 0; l < count; l++) std::memcpy(out + l * m_.vocabulary + v, &logits_[v + l], bytes);
    }
  }

  const Model &m_;
  const int64_t T_, D_;
  Block x_, y_, wide_, mixed_, logits_, head_, head_next_, score_;
};

}  // namespace

// Scores (rows, vocabulary) of cases with tokens (rows, window) and users (rows,).
extern "C" void score(const Model *model, const int32_t *tokens, const int32_t *users, int64_t rows, float *out) {
  Scorer scorer(*model);
  for (int64_t row = 0; row < rows; row += LANES)
    scorer.score(tokens + row * model->window, users + row, std::min<int64_t>(LANES, rows - row), out + row * model->vocabulary);
}

// Ranks of cases from their scores (rows, vocabulary); 0 where one is not a number, else 1.
extern "C" int32_t rank(const Cases *cases, const float *scores, const Ranks *ranks) {
  Ranker ranker(*cases, *ranks);
  for (int64_t row = 0; row < cases->rows; row++)
    if (!ranker.rank(row, scores + row * cases->vocabulary)) return 0;
  return 1;
}

// Both, without keeping the scores.
extern "C" int32_t score_and_rank(const Model *model, const int32_t *tokens, const int32_t *users, const Cases *cases,
                                  const Ranks *ranks) {
  Scorer scorer(*model);
  Ranker ranker(*cases, *ranks);
  std::vector<float> scores(LANES * model->vocabulary);
  for (int64_t row = 0; row < cases->rows; row += LANES) {
    const int64_t count = std::min<int64_t>(LANES, cases->rows - row);
    scorer.score(tokens + row * model->window, users + row, count, scores.data());
    for (int64_t l = 0; l < count; l++)
      if (!ranker.rank(row + l, scores.data() + l * model->vocabulary)) return 0;
  }
  return 1;
}
