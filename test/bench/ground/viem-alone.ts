// The entries of viem that the client imports, for what they cost to import without it.
// Must never import more than the client does.

import 'viem'
import 'viem/accounts'
import 'viem/actions'
import 'viem/tempo'
