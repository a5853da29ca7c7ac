// A plan and its sidecar, x.plan and x.plan.json, as `facealign build` writes them.
// A plan is native code: nothing is handed to TensorRT before its checksums match the sidecar and,
// with a key, the sidecar's signature matches the key.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "crop.hpp"
#include "json.hpp"
#include "sha256.hpp"

namespace facealign {

struct Tensor {
    std::string name;
    std::string dtype;               // "uint8" or "float32"
    std::vector<std::int64_t> dims;  // behind the batch axis
};

struct Plan {
    std::string data;
    Tensor input;
    std::vector<Tensor> outputs;  // the first is the landmarks
    CropRule crop;
    std::string scheme;
    std::string tensorrt;  // version that built it
};

constexpr long kMaxAxis = 4096;

inline std::string read_file(const std::string& path, std::size_t max_bytes) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
    if (!file) throw std::runtime_error("cannot open `" + path + "`");
    std::string data;
    std::vector<char> part(1 << 16);
    while (const std::size_t count = std::fread(part.data(), 1, part.size(), file.get())) {
        data.append(part.data(), count);
        if (data.size() > max_bytes) throw std::runtime_error("`" + path + "` is too long");
    }
    if (std::ferror(file.get())) throw std::runtime_error("cannot read `" + path + "`");
    return data;
}

// Returns a whole number from `least` to `most`.
inline long whole_number(const Json& json, long least, long most) {
    const double number = json.number;
    // Written so that NaN fails too.
    if (json.kind != Json::Kind::kNumber || !(number >= least && number <= most) || number != std::floor(number)) {
        throw std::runtime_error("the sidecar has a number that cannot be");
    }
    return static_cast<long>(number);
}

inline Tensor tensor_from_json(const Json& json) {
    Tensor tensor{json["name"].text, json["dtype"].text, {}};
    const std::vector<Json>& shape = json["shape"].items;
    if (shape.empty() || shape[0].text != "B") throw std::runtime_error("`" + tensor.name + "` has no batch axis");
    for (std::size_t i = 1; i < shape.size(); ++i) {
        tensor.dims.push_back(whole_number(shape[i], 1, kMaxAxis));
    }
    return tensor;
}

// Returns whether a text is `one`, and not the `other`.
inline bool is_one_of(const Json& json, const char* one, const char* other) {
    if (json.text == one) return true;
    if (json.text == other) return false;
    throw std::runtime_error("the sidecar has a crop rule of another facealign: `" + json.text + "`");
}

inline CropRule crop_from_json(const Json& json) {
    CropRule rule;
    rule.size_px = static_cast<int>(whole_number(json["size_px"], 1, kMaxAxis));
    rule.side_factor = json["from_box"]["side_factor"].number;
    rule.is_integer_centre = is_one_of(json["from_box"]["centre"], "integer", "exact");
    rule.is_nearest = is_one_of(json["interpolation"], "nearest", "bilinear");
    rule.border_value = static_cast<std::uint8_t>(whole_number(json["border_value"], 0, 255));
    return rule;
}

// Compares in a time that does not tell where two texts differ.
inline bool is_same(const std::string& a, const std::string& b) {
    unsigned char difference = a.size() != b.size();
    for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
    return difference == 0;
}

// Returns the record as indented JSON on its own: what is signed, behind a line that names its purpose.
inline std::string record_text(const std::string& sidecar) {
    const std::string mark = "\n  \"record\": ";
    const std::size_t start = sidecar.find(mark), end = sidecar.rfind("\n}");
    if (start == std::string::npos || end == std::string::npos || end < start) {
        throw std::runtime_error("the sidecar has no record");
    }
    std::string record(sidecar, start + mark.size(), end - start - mark.size());
    for (std::size_t line = record.find("\n  "); line != std::string::npos; line = record.find("\n  ", line + 1)) {
        record.erase(line + 1, 2);
    }
    return record;
}

// The sidecar holds, as its first field, the SHA-256 of itself without that field.
inline void check_checksum(const std::string& sidecar) {
    const std::string start = "{\n  \"checksum\": \"", end = "\",\n";
    const std::size_t rest = start.size() + 64 + end.size();
    if (sidecar.size() < rest || sidecar.compare(0, start.size(), start) != 0 ||
        sidecar.compare(start.size() + 64, end.size(), end) != 0 ||
        sha256_hex("{\n" + sidecar.substr(rest)) != sidecar.substr(start.size(), 64)) {
        throw std::runtime_error("the sidecar was changed; run `facealign build` again");
    }
}

inline void check_signature(const std::string& sidecar, const std::string& record, const std::string& key) {
    const Json signature = JsonReader(sidecar).read()["hmac"];
    if (key.empty() && signature.kind == Json::Kind::kNull) return;
    if (key.empty()) throw std::runtime_error("the plan is signed; pass the file of its key");
    if (!is_same(signature.text, hmac_sha256_hex(key, "facealign plan record\n" + record + "\n"))) {
        throw std::runtime_error("the plan is not signed with this key");
    }
}

// Returns a plan whose every byte was checked, and what its sidecar promises of it.
inline Plan read_plan(const std::string& path, const std::string& key) {
    const std::string sidecar = read_file(path + ".json", std::size_t{1} << 20);
    check_checksum(sidecar);
    const std::string text = record_text(sidecar);
    check_signature(sidecar, text, key);
    // Of the text that was signed: beside it, a sidecar may hold a forged record.
    const Json record = JsonReader(text).read();
    if (whole_number(record["version"], 0, 1 << 30) != 1) {
        throw std::runtime_error("the sidecar is of another facealign");
    }
    Plan plan;
    plan.data = read_file(path, std::size_t{1} << 32);
    if (static_cast<double>(plan.data.size()) != record["plan_bytes"].number ||
        sha256_hex(plan.data) != record["plan_sha256"].text) {
        throw std::runtime_error("the plan was changed; run `facealign build` again");
    }
    plan.crop = crop_from_json(record["crop"]);
    for (const Json& output : record["outputs"].items) plan.outputs.push_back(tensor_from_json(output));
    const std::vector<std::int64_t> crop_dims = {plan.crop.size_px, plan.crop.size_px, 3};
    if (record["inputs"].items.size() == 1) plan.input = tensor_from_json(record["inputs"].items[0]);
    if (plan.input.dtype != "uint8" || plan.input.dims != crop_dims || plan.outputs.empty() ||
        plan.outputs[0].name != "landmarks" || plan.outputs[0].dims.size() != 2 || plan.outputs[0].dims[1] != 2) {
        throw std::runtime_error("the plan does not take crops and give landmarks");
    }
    plan.scheme = record["scheme"].text;
    plan.tensorrt = record["machine"]["tensorrt"].text;
    return plan;
}

}  // namespace facealign
