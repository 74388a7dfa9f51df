/* The compiled form of the documents of one principal. Private to access.
 *
 * A trie over the resources of all statements: a node is entered by a letter, a wildcard or a variable, then has letters that must follow. What ends at a node
 * are the statements (with their actions) whose resource ends there. Nodes lie in one array, children of a node side by side. */
#ifndef MC_ACCESS_SET_H
#define MC_ACCESS_SET_H

#include "access/statement.h"

typedef struct trie_node {
  uint64_t actions;  /* of all that end here or beneath */
  uint32_t text;     /* in mc_policy_set.text: letters that follow; of a child by letter, that letter is the first of them */
  uint32_t text_len;
  uint32_t child;    /* the first one: those by letters in their order, then those by marks */
  uint32_t end;      /* the first statement that ends here; explicit denials first */
  uint32_t ends;
  uint16_t letters, marks;
  uint16_t variable; /* entered by this one (of the set) */
  uint32_t star;     /* entered by *: its number among those with something behind; UINT32_MAX: nothing is behind it */
  uint8_t entered;   /* part_kind */
  uint8_t first;     /* the first of its letters */
} trie_node;

typedef struct trie_end {
  uint32_t statement; /* of the set */
  uint32_t resource;  /* of the statement */
  uint64_t actions;
} trie_end;

typedef struct set_statement {
  const statement *is;
  uint32_t part;      /* of the set */
  uint32_t number;    /* in its document */
  uint32_t condition; /* its place among those with conditions; UINT32_MAX: it has none */
} set_statement;

struct mc_policy_set {
  atomic_uint references;
  mc_arena arena;
  mc_policy_part *part; /* documents retained */
  size_t parts;
  uint16_t (*map)[MC_POLICY_VARIABLES]; /* by part: the document's variable -> the set's */
  mc_policy_variable *variable;
  size_t variables;
  set_statement *statement;
  size_t statements, conditional;
  trie_node *node;
  trie_end *end;
  uint8_t *text;
  size_t nodes, stars;
  bool timed; /* a condition asks for the time */
};

#endif
