/* The calling thread: the name that people see in top and gdb, and how soon it gets a processor when it wakes. */
#ifndef MC_BASE_THREAD_H
#define MC_BASE_THREAD_H

void mc_thread_name(const char *name); /* cut to 15 bytes */
/* For a thread that runs shortly and that others wait for: it asks for turns of 0.1 ms, so that a scheduler that orders by deadlines (Linux 6.12 and later) lets
 * it in before threads that compute. It gets no more of the processor than they. A hint: nothing happens where the system does not know it. */
void mc_thread_prompt(void);

#endif
