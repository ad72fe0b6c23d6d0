/* The program around an idiom that is compiled as a library: it knows nothing of OpenMP. */
int idiom_main(int argc, char** argv);

int main(int argc, char** argv) { return idiom_main(argc, argv); }
