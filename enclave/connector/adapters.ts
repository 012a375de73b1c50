// Which adapter speaks to which venue.

import type { OpenAdapter } from './adapter.ts';
import type { Venue } from './classes.ts';
import { openAlpaca } from './venues/alpaca.ts';
import { openBinance } from './venues/binance/binance.ts';
import { openBitget } from './venues/bitget.ts';
import { openBybit } from './venues/bybit.ts';
import { openCoinbase } from './venues/coinbase.ts';
import { openIbkr } from './venues/ibkr.ts';
import { openKraken } from './venues/kraken.ts';
import { openKrakenFutures } from './venues/krakenfutures.ts';
import { openMexc } from './venues/mexc.ts';
import { openOkx } from './venues/okx.ts';

export const ADAPTERS: Readonly<Record<Venue, OpenAdapter>> = {
  binance: (run, cursors) => openBinance(run, cursors, 'spot'),
  binancemargin: (run, cursors) => openBinance(run, cursors, 'margin'),
  binanceusdm: (run, cursors) => openBinance(run, cursors, 'linear'),
  binancecoinm: (run, cursors) => openBinance(run, cursors, 'inverse'),
  bybit: openBybit,
  bitget: openBitget,
  mexc: openMexc,
  kraken: openKraken,
  krakenfutures: openKrakenFutures,
  coinbase: openCoinbase,
  okx: openOkx,
  ibkr: openIbkr,
  alpaca: openAlpaca,
};
