// The desks that the tests of a file open: none is left after a test, and one that has ended itself fails it.

import { afterEach } from 'vitest';
import { ApiScene } from './api-scene.ts';

export class ApiScenes {
  readonly #open = new Set<ApiScene>();

  async open(...parts: Parameters<typeof ApiScene.open>): Promise<ApiScene> {
    const scene = await ApiScene.open(...parts);
    this.#open.add(scene);
    return scene;
  }

  async close(scene: ApiScene): Promise<void> {
    this.#open.delete(scene);
    await scene.close();
  }

  async closeAll(): Promise<void> {
    for (const scene of this.#open) {
      scene.desk.release();
      await this.close(scene);
      const { fatal } = scene.desk;
      if (fatal.length > 0) throw new Error(`the desk ended: ${fatal.join()}`);
    }
  }
}

/** Call once in a test file. */
export function apiScenes(): ApiScenes {
  const scenes = new ApiScenes();
  afterEach(() => scenes.closeAll());
  return scenes;
}
