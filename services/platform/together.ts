import type { Service } from './shutdown.ts';

/**
 * Several services as one: started in their order, stopped in the opposite one. Where one does not
 * start, those before it are stopped; what one throws while it stops, the others are stopped all the
 * same. It has died as soon as one of them has.
 */
export function together(services: readonly Service[]): Required<Service> {
  const stopAll = async (started: readonly Service[]): Promise<void> => {
    const failures: unknown[] = [];
    for (const service of [...started].reverse()) {
      await service.stop().catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  };
  return {
    start: async () => {
      const started: Service[] = [];
      for (const service of services) {
        try {
          await service.start();
        } catch (error) {
          await Promise.allSettled([stopAll(started)]);
          throw error;
        }
        started.push(service);
      }
    },
    stop: () => stopAll(services),
    died: Promise.race(services.flatMap(({ died }) => died ?? [])),
  };
}
