/* The tests of the C interface, which are C. Each takes artifacts that c_api_main.cpp writes, and returns the number of
 * failed checks, which it prints. */
#pragma once
#ifdef __cplusplus
extern "C" {
#endif

int testVersions(void);
int testNullArguments(void);
int testDevices(void);
int testNoLoader(const char *reason);
int testModel(const char *model, const char *classifier, const char *without_tokenizer);
int testStructSizes(const char *model);
int testTokenizer(const char *model, const char *without_tokenizer);
int testGenerate(const char *model);
int testOptions(const char *model);
int testFork(const char *model);
int testOnLogits(const char *model);
int testMatrices(const char *model);
int testClassify(const char *model, const char *classifier);
int testBatch(const char *model, const char *classifier);
int testGraph(const char *chain, const char *counter);
/* Generates in this thread and compares with `expected` ids; 0 if all are the same. */
int generateSame(const char *model, const int *expected, int count);

#ifdef __cplusplus
}
#endif
