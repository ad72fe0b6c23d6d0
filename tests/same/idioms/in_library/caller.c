/* The program around an idiom that is compiled as a library. It does not use OpenMP itself. */
int idiom_main(int argc, char** argv);

int main(int argc, char** argv) { return idiom_main(argc, argv); }
