// A host's configuration file that is right.

export const GOOD: Readonly<Record<string, unknown>> & {
  readonly feed: object;
  readonly execution: { readonly paper: object; readonly limits: object };
} = {
  transport: 'unix:sockets',
  state: 'state',
  log: '/srv/log',
  configuration: 'configuration.json',
  strategies: [{ pack: 'pack', parameters: 'parameters.json' }],
  enclave: { command: ['enclave', '--flag'] },
  feed: { stream: 1, capture: 'capture.gz', speed: null },
  execution: {
    paper: { latency_ms: 5, taker_fee_ppm: 500, maker_fee_ppm: -10, slippage_ticks: 1 },
    limits: {
      max_order_notional: '10000.5',
      max_position_notional: '20000',
      max_orders: 50,
      order_window_ms: 1000,
      price_band_ppm: 5000,
      max_daily_loss: '0.00000001',
    },
  },
  tiles: { port: 0 },
  ingress: null,
};
