// Rows of logits to the gradient of their cross-entropy, in place: one pass over memory where tensors would make six.
#include <atomic>
#include <limits>
#include <thread>
#include <vector>

#include "lanes.hpp"

namespace {

struct Rows {
  float *logits;  // (rows, items); becomes softmax minus one at the target
  int64_t rows, items;
  const int64_t *targets;        // (rows)
  const int64_t *tokens;         // histories, one after the other; null where nothing is taken out
  const int64_t *firsts, *ends;  // (rows) where the history of each row begins and ends in `tokens`
  float *losses;                 // (rows)
};

V load(const float *from) { return (V) * (const Unaligned *)from; }
void store(float *to, V value) { *(Unaligned *)to = (Unaligned)value; }

void finish(const Rows &call, int64_t row) {
  float *logits = call.logits + row * call.items;
  const int64_t target = call.targets[row], whole = call.items / LANES * LANES;
  const float at_target = logits[target];
  const int64_t first = call.tokens ? call.firsts[row] : 0, end = call.tokens ? call.ends[row] : 0;
  for (int64_t place = first; place < end; place++)
    if (call.tokens[place] < call.items) logits[call.tokens[place]] = -std::numeric_limits<float>::infinity();
  logits[target] = at_target;  // stays where it repeats

  V tops[4] = {all(at_target), all(at_target), all(at_target), all(at_target)};
  for (int64_t item = 0; item < whole; item += LANES) {
    V &top = tops[item / LANES % 4];
    top = maximum(top, load(logits + item));
  }
  const V highest = maximum(maximum(tops[0], tops[1]), maximum(tops[2], tops[3]));
  float top = highest[0];
  for (int lane = 1; lane < LANES; lane++) top = std::max(top, highest[lane]);
  for (int64_t item = whole; item < call.items; item++) top = std::max(top, logits[item]);

  V sums[4] = {};
  for (int64_t item = 0; item < whole; item += LANES) {
    const V value = exponential(load(logits + item) - top);
    store(logits + item, value);
    sums[item / LANES % 4] += value;
  }
  float sum = sum_of((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (int64_t item = whole; item < call.items; item++) sum += logits[item] = exponential(all(logits[item] - top))[0];
  call.losses[row] = std::log(sum) + (top - at_target);  // in this order: large logits would cost the digits

  const float scale = 1.0f / sum;
  for (int64_t item = 0; item < whole; item += LANES) store(logits + item, load(logits + item) * scale);
  for (int64_t item = whole; item < call.items; item++) logits[item] *= scale;
  const float of_target = logits[target];
  for (int64_t place = first; place < end; place++)  // exponential() keeps e^-87 of what was taken out
    if (call.tokens[place] < call.items) logits[call.tokens[place]] = 0.0f;
  logits[target] = of_target - 1.0f;
}

}  // namespace

extern "C" void softmax_gradient(const Rows *call, int64_t threads) {
  std::atomic<int64_t> next{0};
  const auto work = [&] {
    for (int64_t row; (row = next.fetch_add(16)) < call->rows;)
      for (int64_t end = std::min(row + 16, call->rows); row < end; row++) finish(*call, row);
  };
  std::vector<std::thread> others;
  for (int64_t thread = 1; thread < threads; thread++) others.emplace_back(work);
  work();
  for (std::thread &other : others) other.join();
}
