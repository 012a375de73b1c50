// The classes of ccxt that connectors use, and no others: `import 'ccxt'` would bring the whole library, and
// the package's exports hide single files, so they are imported by path. What ccxt brings for chains and
// sockets is left out of the bundle (eif/build/connector.ts).

import binance from '../../node_modules/ccxt/js/src/binance.js';
import bitget from '../../node_modules/ccxt/js/src/bitget.js';
import bybit from '../../node_modules/ccxt/js/src/bybit.js';
import coinbase from '../../node_modules/ccxt/js/src/coinbase.js';
import kraken from '../../node_modules/ccxt/js/src/kraken.js';
import krakenfutures from '../../node_modules/ccxt/js/src/krakenfutures.js';
import mexc from '../../node_modules/ccxt/js/src/mexc.js';
import okx from '../../node_modules/ccxt/js/src/okx.js';

export { binance, bitget, bybit, coinbase, kraken, krakenfutures, mexc, okx };
export type CcxtExchange =
  binance | bitget | bybit | coinbase | kraken | krakenfutures | mexc | okx;
