<?php
// A service: it runs beside the workers and is started again when it ends.
declare(strict_types=1);

$every = max(1, (int) getenv('EVERY'));
pcntl_async_signals(true);
pcntl_signal(SIGINT, fn () => exit("clock stops\n"));
pcntl_signal(SIGTERM, fn () => exit("clock stops\n"));

for (;;) {
    echo gmdate('H:i:s'), "\n";
    sleep($every);
}
