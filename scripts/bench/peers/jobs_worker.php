<?php
/** The smallest worker of jobs, as fast as PHP's streams go: what jobs_worker.ts is for the kit. */

declare(strict_types=1);

require __DIR__ . '/../../../tests/fixtures/php/http_wire.php';

$wire = new Wire();
while ([, $context] = $wire->request()) {
    json_decode($context, true);
    $wire->answer(0, '', '{"type":0,"data":[]}');
}
