// SPDX-License-Identifier: Apache-2.0 OR MIT
// The C++ library of FlatBuffers and what flatc made of zoo.fbs and batch.fbs:
//
//     interop_flat zoo|batch      records from stdin, answers to stdout (tool.h)
//
// A message is verified, made into objects, and these into a message again.
#include <cstdio>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "batch_generated.h"
#include "zoo_generated.h"

namespace {

// What is verified may still lack the value of a union, and reading it into an object crashes.
bool has_value(int type, const void *value)
{
	return type == Shape_NONE || value;
}

bool readable(const Zoo *zoo)
{
	if (!has_value(zoo->shape_type(), zoo->shape()))
		return false;
	if (!zoo->shapes())
		return true;
	for (const ShapeValue *shape : *zoo->shapes())
		if (!has_value(shape->value_type(), shape->value()))
			return false;
	return true;
}

bool readable(const Batch *)
{
	return true;
}

template <typename T> std::string again(const void *bytes, size_t len, std::string &wrong)
{
	flatbuffers::Verifier verifier(static_cast<const uint8_t *>(bytes), len);
	if (!verifier.VerifyBuffer<T>(nullptr)) {
		wrong = "not verified";
		return {};
	}
	if (!readable(flatbuffers::GetRoot<T>(bytes))) {
		wrong = "a union without value";
		return {};
	}
	typename T::NativeTableType object;
	flatbuffers::GetRoot<T>(bytes)->UnPackTo(&object);
	flatbuffers::FlatBufferBuilder builder;
	builder.Finish(T::Pack(builder, &object));
	return {reinterpret_cast<const char *>(builder.GetBufferPointer()), builder.GetSize()};
}

bool put(const std::string &text, uint8_t status)
{
	const uint32_t len = static_cast<uint32_t>(text.size());
	return fwrite(&status, 1, 1, stdout) == 1 && fwrite(&len, sizeof(len), 1, stdout) == 1 &&
	       fwrite(text.data(), 1, len, stdout) == len && fflush(stdout) == 0;
}

} // namespace

int main(int argc, char **argv)
{
	const bool zoo = argc == 2 && strcmp(argv[1], "zoo") == 0;
	uint32_t len;

	while (fread(&len, sizeof(len), 1, stdin) == 1) {
		// As aligned as in a ring.
		std::vector<std::max_align_t> bytes(len / sizeof(std::max_align_t) + 1);
		std::string wrong;
		if (fread(bytes.data(), 1, len, stdin) != len)
			return 1;
		const std::string answer = zoo ? again<Zoo>(bytes.data(), len, wrong) :
		                                 again<Batch>(bytes.data(), len, wrong);
		if (!put(wrong.empty() ? answer : wrong, !wrong.empty()))
			return 1;
	}
}
