// SPDX-License-Identifier: Apache-2.0
#include "../../native/answer.h"
#include "fuzz.h"

/* What docker-proxy does with the bytes of an HTTP answer. */

static int cut(const uint8_t *data, size_t size)
{
	char *exact = (char *)copy_exactly(data, size, 1);
	struct answer answer;
	int length = answer_cut(exact, size, &answer);

	if (length > 0) {
		struct decision decision;

		must((size_t)length <= size);
		must(answer.status >= 0 && answer.status <= 999);
		must(answer.body + strlen(answer.body) <= exact + length);
		if (decision_read(answer.body, &decision) == 0 && decision.todo == TODO_FORWARD) {
			must(strlen(decision.id) <= ID_DIGITS);
			must(*decision.child_ip && !strchr(decision.child_ip, ' '));
		}
	}
	free(exact);
	return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int length = cut(data, size);

	if (length > 0) { /* it may as well come in two parts */
		must(cut(data, (size_t)length) == length);
		must(cut(data, (size_t)length - 1) == 0);
	}
	return 0;
}
