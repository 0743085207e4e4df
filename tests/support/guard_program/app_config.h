/* Every board has the guard here, also one whose applications leave it out. A hang is seen soon. */
#undef TYF_CFG_GUARD
#define TYF_CFG_GUARD 1
#define TYF_CFG_LIVE_LIMIT_MS 100
#define TYF_CFG_ASSERT 1
